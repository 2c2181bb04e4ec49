// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace culvert::cli {

/// What the program's exit status means. README.md, --help, docs/options.md and docs/culvert.1 show it too.
enum ExitStatus : int {
  kDone = 0,      ///< a signal ended it after it was ready, or the stream of -W ended; also --help, -V, -Q
  kFailed = 255,  ///< everything else: usage, connection, login, a listener, the session lost
  kSignalBase = 128,  ///< + number of the signal: ended before it was ready, or by a second signal
};

}  // namespace culvert::cli
