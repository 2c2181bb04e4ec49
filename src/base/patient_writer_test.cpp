// SPDX-License-Identifier: Apache-2.0
#include "base/patient_writer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include <gtest/gtest.h>

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 50ms;
constexpr auto kGenerous = 60s;
constexpr int kMany = 20000;

std::string tell(std::uint64_t dropped) { return "dropped " + std::to_string(dropped) + "\n"; }
std::string line(int number) { return "line " + std::to_string(number) + "\n"; }

/// Whose descriptor stands for standard error.
struct Ends {
  ~Ends() {
    ::close(out);
    if (in >= 0) ::close(in);
  }
  int in = -1, out = -1;

  /// What is there to be read; a terminal hands it over a moment later.
  [[nodiscard]] std::string take() const {
    std::string all;
    std::array<char, 4096> some;
    for (pollfd asked = {in, POLLIN, 0}; ::poll(&asked, 1, 10) > 0 && (asked.revents & POLLIN) != 0;) {
      const ssize_t got = ::read(in, some.data(), some.size());
      if (got <= 0) break;
      all.append(some.data(), static_cast<std::size_t>(got));
    }
    std::erase(all, '\r');
    return all;
  }
  [[nodiscard]] std::string take_until(std::string_view end) const {
    std::string all;
    for (const auto deadline = std::chrono::steady_clock::now() + kGenerous;
         !all.ends_with(end) && std::chrono::steady_clock::now() < deadline;)
      all += take();
    return all;
  }
};

struct Kind {
  const char* name;
  void (*open)(Ends&);
};

void open_pipe(Ends& ends) {
  std::array<int, 2> both;
  ASSERT_EQ(::pipe(both.data()), 0);
  std::tie(ends.in, ends.out) = std::pair(both[0], both[1]);
}
void open_pipe_without_waiting(Ends& ends) {
  open_pipe(ends);
  ASSERT_EQ(::fcntl(ends.out, F_SETFL, O_NONBLOCK), 0);
}
void open_socket(Ends& ends) {
  std::array<int, 2> both;
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, both.data()), 0);
  std::tie(ends.in, ends.out) = std::pair(both[0], both[1]);
}
void open_terminal(Ends& ends) { ASSERT_EQ(::openpty(&ends.in, &ends.out, nullptr, nullptr, nullptr), 0); }

class PatientWriterTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as the program does
    ASSERT_NO_FATAL_FAILURE(GetParam().open(ends_));
  }
  ~PatientWriterTest() override { ::signal(SIGPIPE, SIG_DFL); }

  /// False if it hangs. Then the reader reads, so that the test ends.
  bool ends_soon(const std::function<void()>& what) const {
    auto done = std::async(std::launch::async, what);
    bool in_time = true;
    while (done.wait_for(in_time ? kGenerous : 10ms) != std::future_status::ready) {
      in_time = false;
      (void)ends_.take();
    }
    return in_time;
  }

  Ends ends_;
};

TEST_P(PatientWriterTest, DropsLinesOfAReaderWhoStallsAndSaysHowMany) {
  PatientWriter writer(ends_.out, tell, kPatience);
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(ends_soon([&] {
    for (int i = 0; i < kMany; ++i) writer.write(line(i));
  }));
  EXPECT_LT(std::chrono::steady_clock::now() - before, kMany * kPatience / 4) << "waits for each line";

  std::string all;
  int tries = 0;
  while (!all.ends_with("again\n") && tries < 1000) {
    all += ends_.take();
    writer.write("again\n");
    ++tries;
    all += ends_.take();
  }
  int next = 0, lost = 0, last = 0;
  std::istringstream lines(all);
  for (std::string one; std::getline(lines, one);) {
    if (one == "again") {
      ++last;
    } else if (one.starts_with("dropped ")) {
      lost += std::stoi(one.substr(8));
    } else {
      ASSERT_EQ(one + '\n', line(next++));
    }
  }
  EXPECT_GT(lost, 0);
  EXPECT_EQ(last, 1);
  EXPECT_EQ(next + lost + last, kMany + tries);
}

TEST_P(PatientWriterTest, LosesNothingOfAReaderWhoReads) {
  std::string all;
  std::promise<void> is_done;
  std::thread reader([&, done = is_done.get_future()] {
    while (done.wait_for(0ms) != std::future_status::ready) all += ends_.take();
  });
  std::string wanted;
  {
    PatientWriter writer(ends_.out, tell, kGenerous);
    for (int i = 0; i < kMany; ++i) {
      writer.write(line(i));
      wanted += line(i);
    }
    const std::string longest(100'000, 'x');
    if (std::string_view(GetParam().name) != "terminal") {  // its lines are 4095 bytes at most
      writer.write(longest + "\n");
      wanted += longest + "\n";
    }
  }
  is_done.set_value();
  reader.join();
  all += ends_.take();
  EXPECT_TRUE(all == wanted);
}

TEST_P(PatientWriterTest, AnImportantLineWaitsAgain) {
  PatientWriter writer(ends_.out, tell, kPatience);
  ASSERT_TRUE(ends_soon([&] {
    for (int i = 0; i < kMany; ++i) writer.write(line(i));
  }));
  const auto before = std::chrono::steady_clock::now();
  writer.write("important\n", PatientWriter::Weight::important);
  EXPECT_GE(std::chrono::steady_clock::now() - before, kPatience);
}

TEST_P(PatientWriterTest, AReaderWhoIsGoneIsNoFault) {
  PatientWriter writer(ends_.out, tell, kGenerous);
  ::close(std::exchange(ends_.in, -1));
  const auto before = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) writer.write(line(i));
  EXPECT_LT(std::chrono::steady_clock::now() - before, kGenerous);
}

INSTANTIATE_TEST_SUITE_P(All, PatientWriterTest,
                         ::testing::Values(Kind{"pipe", open_pipe},
                                           Kind{"pipe_without_waiting", open_pipe_without_waiting},
                                           Kind{"socket", open_socket}, Kind{"terminal", open_terminal}),
                         [](const auto& with) { return with.param.name; });

TEST(PatientWriter, ATerminalThatIsHeldIsAReaderWhoStalls) {
  Ends ends;
  ASSERT_NO_FATAL_FAILURE(open_terminal(ends));
  PatientWriter writer(ends.out, tell, kPatience);
  ASSERT_EQ(::tcflow(ends.out, TCOOFF), 0);  // Ctrl-S
  for (int i = 0; i < 3; ++i) writer.write(line(i));
  EXPECT_EQ(ends.take(), "");
  ASSERT_EQ(::tcflow(ends.out, TCOON), 0);
  writer.write("again\n");
  EXPECT_EQ(ends.take_until("again\n"), "dropped 3\nagain\n");
}

TEST(PatientWriter, SaysAtItsEndHowManyWereDropped) {
  Ends ends;
  ASSERT_NO_FATAL_FAILURE(open_terminal(ends));
  {
    PatientWriter writer(ends.out, tell, kPatience);
    ASSERT_EQ(::tcflow(ends.out, TCOOFF), 0);
    writer.write(line(1));
    ASSERT_EQ(::tcflow(ends.out, TCOON), 0);
  }
  EXPECT_EQ(ends.take_until("\n"), "dropped 1\n");
}

}  // namespace
}  // namespace culvert
