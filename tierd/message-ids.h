/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-id128.h>

/*
 * The MESSAGE_IDs of tierd's journal entries, made at random once and stable for ever: monitoring matches on them.
 * systemd/tierd.catalog explains each to operators, tierd.journal-fields(7) its fields; tests/check-journal compares.
 */
#define MESSAGE_STARTED SD_ID128_MAKE(e8, 44, 0b, 09, 63, bc, 47, 9f, ad, fe, 0e, 3c, 6b, 7a, ce, 38)
#define MESSAGE_RESTORED SD_ID128_MAKE(79, 89, e4, b9, 25, 9f, 4c, fd, 91, 07, 1e, d3, a2, 8b, 96, bc)
#define MESSAGE_PLAN_CHANGED SD_ID128_MAKE(35, 12, fd, 48, a1, 51, 47, 8c, b9, 80, 21, 23, 85, 53, 01, f4)
#define MESSAGE_SCHEME_INSTALLED SD_ID128_MAKE(21, 11, a7, e4, 04, 27, 4f, b9, ae, 41, 84, f5, 12, ea, be, 06)
#define MESSAGE_SCHEME_CHANGED SD_ID128_MAKE(69, 7f, a3, dd, 2a, e2, 4b, db, ad, d4, 5f, 70, bf, e5, 3d, 75)
#define MESSAGE_SCHEME_REMOVED SD_ID128_MAKE(a2, 0e, bc, fc, fc, 8c, 49, 24, 97, 09, f6, 5f, 97, 14, 6c, 5b)
#define MESSAGE_SAMPLE SD_ID128_MAKE(dc, b2, fb, 76, dc, 89, 4a, 26, a9, 39, ae, 24, ac, 0c, 7b, 32)
#define MESSAGE_GOAL_REACHED SD_ID128_MAKE(66, 0d, 44, bd, dd, 22, 41, dc, bc, de, f0, 12, 63, 04, aa, 28)
#define MESSAGE_GOAL_LOST SD_ID128_MAKE(74, b9, 26, 77, a7, 6f, 48, 3d, 8f, 47, 87, 07, ed, ca, 07, 2c)
#define MESSAGE_STALL SD_ID128_MAKE(fa, 2f, dd, ac, ad, 9e, 44, ac, 81, 74, 68, 80, 8c, 04, 13, 73)
#define MESSAGE_PING_PONG SD_ID128_MAKE(09, a6, f4, 0d, 49, 9a, 49, e1, 82, 81, c3, 26, 0f, 44, 0f, df)
#define MESSAGE_TARGET_FULL SD_ID128_MAKE(4c, da, 0e, b9, 84, cb, 45, 88, ba, 5f, 05, e9, 8f, 16, 1d, 6e)
#define MESSAGE_TARGET_TAKES SD_ID128_MAKE(f0, 05, 9a, e8, e3, 4c, 4f, a8, 80, 12, 3c, d8, c1, ff, d7, 12)
#define MESSAGE_MEMORY_ADDED SD_ID128_MAKE(32, 7c, 86, b0, 0b, e1, 4d, 38, 81, 1f, a2, 8b, 3f, 09, 51, 86)
#define MESSAGE_MEMORY_REMOVED SD_ID128_MAKE(02, 39, ce, 26, a2, 7a, 46, 65, 9e, 05, 3b, 5d, ad, a8, 39, 53)
#define MESSAGE_KERNEL_LACKS SD_ID128_MAKE(2a, ea, 24, fd, d5, c2, 45, 7d, 9d, 21, 92, f9, d9, 63, 3d, 63)
#define MESSAGE_NOTE SD_ID128_MAKE(bd, b9, f6, 48, ea, 36, 4f, 7e, b2, 4f, 26, c1, cd, 09, 64, fb)
#define MESSAGE_TURN_FAILED SD_ID128_MAKE(c7, 97, 19, ef, f4, 38, 40, 37, b5, ab, 61, 6d, 5e, 34, 99, d0)
#define MESSAGE_KDAMOND_RESTARTED SD_ID128_MAKE(a3, 6a, 7e, 31, fc, 70, 42, de, 94, a1, 99, f4, 89, 5a, 3e, 32)
#define MESSAGE_RELOAD_REFUSED SD_ID128_MAKE(8f, ef, 6a, dd, 6c, 72, 49, 35, 82, 44, 60, 5b, 7d, 0b, be, 62)
#define MESSAGE_METRICS_FILE SD_ID128_MAKE(df, f1, c7, fc, c8, 8f, 4a, cc, 90, 38, 43, ce, 86, 75, 34, b4)
#define MESSAGE_SYSTEM SD_ID128_MAKE(6a, 0d, 2e, e8, 73, fe, 4e, f9, 85, c1, fd, 59, c4, b5, de, 48)
#define MESSAGE_MESSAGES_LOST SD_ID128_MAKE(3c, e3, d2, 64, ff, 35, 46, be, 90, 2a, 9b, b2, 25, 37, 3e, 01)
