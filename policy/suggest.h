/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* The words that a person may have meant. */

/*
 * Edit distance without regard to case: insertions, deletions, substitutions and swaps of neighbours cost one each (Damerau
 * and Levenshtein, in its restricted form: no part of the text is edited twice). Words longer than SUGGEST_WORD_MAX are
 * SIZE_MAX apart from all others.
 */
#define SUGGEST_WORD_MAX 32
size_t edit_distance(const char *a, const char *b);

/* The nearest of the n words, the first of equals; NULL when none is near enough to be meant. */
const char *suggest_nearest(const char *word, const char *const *words, size_t n);
