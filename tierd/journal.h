/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/log.h"

/*
 * Where tierd's messages go: the journal, with their level, when its stderr is a stream to it (started by systemd); else
 * stderr, one line each. `level` is the highest syslog level that is written.
 */
struct log journal_log(int level);
