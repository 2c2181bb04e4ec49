// SPDX-License-Identifier: Apache-2.0
#include "files/ssh_config.hpp"

#include <gtest/gtest.h>

#include <map>

#include "files/config_words.hpp"

namespace culvert::files {
namespace {

using Words = std::vector<std::string>;

/// Files in memory; collects what is active as "keyword rest".
class Memory final : public ConfigHooks {
 public:
  Result<bool> succeeds(std::string_view command) override {
    commands.emplace_back(command);
    return command == "true";
  }
  Result<bool> has_address_in(std::string_view networks) override { return networks == "192.0.2.0/24"; }
  Result<void> apply(const ConfigLine& line, bool active) override {
    if (line.keyword == "bad") return fail(Errc::not_found, "Bad configuration option: bad");
    if (line.keyword == "wrong") return fail(Errc::usage, "wrong value");
    if (line.keyword == "cannot") return fail(Errc::unsupported, "cannot do that");
    if (active) applied.push_back(std::string(line.keyword) + " " + std::string(line.rest));
    if (active && line.keyword == "user") facts_.user = line.rest;
    return {};
  }
  MatchFacts facts() override { return facts_; }
  Result<std::vector<std::string>> find_files(const std::string& pattern) override {
    patterns.push_back(pattern);
    if (pattern == "/all/*") return Words{"/all/1", "/all/2", "/all/gone"};
    return files.contains(pattern) ? Words{pattern} : Words{};
  }
  Result<std::string> read_file(const std::string& path) override {
    if (!files.contains(path)) return fail(Errc::not_found, "gone");
    return files[path];
  }
  void report(std::string_view error) override { reports.emplace_back(error); }

  Result<bool> read(std::string_view text, bool final_pass = false) {
    applied.clear();
    reports.clear();
    return read_config(
        "F", text, {.host = "web", .include_folder = "/dir", .home_allowed = home, .final_pass = final_pass},
        *this);
  }

  Words applied, reports, commands, patterns;
  std::map<std::string, std::string> files;
  MatchFacts facts_{.host = "Web.example",
                    .original_host = "web",
                    .user = "me",
                    .local_user = "me",
                    .tag = "t",
                    .version = "culvert_1"};
  bool home = true;
};

TEST(ConfigWords, SplitsTheKeywordOff) {
  for (const std::string_view line :
       {"Port 22", "port=22", "  PORT = 22", "\tport\t=22  \r", "\"Port\" 22", "port  22\f", "=port 22"}) {
    const auto words = split_keyword(line);
    ASSERT_TRUE(words) << line;
    EXPECT_EQ(words->keyword, "port") << line;
    EXPECT_EQ(words->rest, "22") << line;
  }
  for (const std::string_view line : {"", "   ", "# port 22", "  #port", "\r"}) {
    EXPECT_EQ(split_keyword(line)->keyword, "") << line;
  }
  EXPECT_EQ(split_keyword("port == 22")->rest, "= 22") << "only one '=' is passed over";
  EXPECT_EQ(split_keyword("port")->rest, "");
  EXPECT_FALSE(split_keyword("\"port 22"));
}

TEST(ConfigWords, SplitsValues) {
  EXPECT_EQ(split_words("a  b\tc"), (Words{"a", "b", "c"}));
  EXPECT_EQ(split_words("'a b' \"c d\"e 'f\"g'"), (Words{"a b", "c de", "f\"g"}));
  EXPECT_EQ(split_words("a\\ b \"c\\\"d\" e\\f 'g\\\\'"), (Words{"a b", "c\"d", "e\\f", "g\\"}));
  EXPECT_EQ(split_words("a #b"), (Words{"a"}));
  EXPECT_EQ(split_words("a#b '#c'"), (Words{"a#b", "#c"}));
  EXPECT_EQ(split_words("\"\""), (Words{""}));
  EXPECT_EQ(split_words(""), (Words{}));
  EXPECT_FALSE(split_words("'a"));
  EXPECT_FALSE(split_words("a \"b"));
}

TEST(SshConfig, HostBlocks) {
  Memory memory;
  ASSERT_TRUE(
      memory.read("a 1\nHost other\nb 2\nHost w* !web\nc 3\nHost x web\nd 4\nHost WEB\ne 5\nHost *\nf 6"));
  EXPECT_EQ(memory.applied, (Words{"a 1", "d 4", "f 6"}));
}

TEST(SshConfig, MatchConditions) {
  Memory memory;
  for (const std::string_view holds :
       {"all", "host web.*", "host WEB.EXAMPLE", "originalhost web", "user me,you", "localuser m?",
        "tagged t", "exec true", "exec \"true\"", "!exec false", "host=web.*", "localnetwork 192.0.2.0/24",
        "!final", "!canonical", "sessiontype none", "version culvert_*", "user me all",
        "user me # comment"}) {
    EXPECT_TRUE(memory.read("Match " + std::string(holds) + "\na 1"));
    EXPECT_EQ(memory.applied.size(), 1u) << holds;
  }
  for (const std::string_view not_now :
       {"!all", "host web", "originalhost web.example", "user ME", "user !me,*", "localuser you", "tagged u",
        "exec false", "final", "canonical", "user me host x", "final all", "!user me",
        "localnetwork 10.0.0.0/8", "sessiontype shell", "command ls"}) {
    EXPECT_TRUE(memory.read("Match " + std::string(not_now) + "\na 1")) << not_now;
    EXPECT_EQ(memory.applied.size(), 0u) << not_now;
  }
  for (const std::string_view wrong :
       {"user", "foo x", "user me host web* all", "all user me", "exec", "\"\""}) {
    EXPECT_FALSE(memory.read("Match " + std::string(wrong) + "\na 1")) << wrong;
    EXPECT_FALSE(memory.reports.empty());
    EXPECT_EQ(memory.reports.back(), "F line 1: Bad Match condition") << wrong;
  }
}

TEST(SshConfig, MatchSeesWhatCameBefore) {
  Memory memory;
  ASSERT_TRUE(memory.read("User you\nMatch user you\na 1\nMatch user me\nb 2"));
  EXPECT_EQ(memory.applied, (Words{"user you", "a 1"}));
}

TEST(SshConfig, CommandsRunOnlyWhereAllElseHolds) {
  Memory memory;
  memory.files["/dir/inc"] = "Match exec never\nx 1\n";
  ASSERT_TRUE(memory.read("Match user x exec one\nMatch user me exec two\nHost none\nInclude inc"));
  EXPECT_EQ(memory.commands, (Words{"two"}));
}

TEST(SshConfig, FinalAsksForASecondPass) {
  Memory memory;
  EXPECT_FALSE(*memory.read("Match canonical\na 1"));
  EXPECT_TRUE(*memory.read("Match host nowhere final\na 1\nMatch final\nb 2"));
  EXPECT_TRUE(memory.applied.empty());
  EXPECT_TRUE(memory.read("Match final\nb 2\nMatch canonical all\nc 3\nMatch !final\nd 4", true));
  EXPECT_EQ(memory.applied, (Words{"b 2", "c 3"}));
}

TEST(SshConfig, Includes) {
  Memory memory;
  memory.files = {
      {"/dir/one", "a 1\nHost other\nb 2\n"}, {"/all/1", "c 3"}, {"/all/2", "d 4\n"}, {"~/x", "e 5"}};
  ASSERT_TRUE(
      memory.read("Include one /all/* missing\nf 6\nHost other\nInclude one\nHost web\nInclude \"~/x\""));
  EXPECT_EQ(memory.applied, (Words{"a 1", "c 3", "d 4", "f 6", "e 5"}))
      << "a block in an included file ends with it, and one around it holds for all of it";
  EXPECT_EQ(memory.patterns, (Words{"/dir/one", "/all/*", "/dir/missing", "/dir/one", "~/x"}));
  memory.home = false;
  EXPECT_FALSE(memory.read("Include ~/x"));
  EXPECT_EQ(memory.reports, (Words{"F line 1: bad include path ~/x."}));
}

TEST(SshConfig, IncludesEnd) {
  Memory memory;
  memory.files["/dir/self"] = "Include self";
  EXPECT_EQ(memory.read("Include self").error().message, "Too many recursive configuration includes");
  memory.files["/dir/self"] = "";
  std::string many = "Include";
  for (std::size_t i = 0; i < kMaxConfigFiles; ++i) many += " self";
  EXPECT_TRUE(memory.read(many));
  EXPECT_EQ(memory.read(many + "\nInclude self").error().message, "Too many configuration includes");
  std::string large;
  while (large.size() < kMaxConfigSize) large += '#' + std::string(kMaxConfigLine - 2, 'x') + '\n';
  memory.files["/dir/self"] = large;
  EXPECT_FALSE(memory.read("Include self self self self self"));
}

TEST(SshConfig, ErrorsNameFileAndLine) {
  Memory memory;
  const auto failed =
      memory.read("Bad 1\na 2\nHost other\nWrong 3\nport\nCannot 4\nHost web\nCannot 5\n\"x\nHost \"\"");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "F: terminating, 6 bad configuration options");
  EXPECT_EQ(memory.reports, (Words{"F: line 1: Bad configuration option: bad", "F line 4: wrong value",
                                   "F line 5: no argument after keyword \"port\"", "F line 8: cannot do that",
                                   "F line 9: invalid quotes", "F line 10: keyword host empty argument"}));
  memory.files["/dir/inc"] = "bad 1";
  EXPECT_EQ(memory.read("Include inc\nbad 2").error().message,
            "/dir/inc: terminating, 1 bad configuration options");
  EXPECT_EQ(memory.reports, (Words{"/dir/inc: line 1: Bad configuration option: bad"}));
  EXPECT_FALSE(memory.read(std::string(kMaxConfigLine + 1, 'x')));
  EXPECT_FALSE(memory.read(std::string("a\0b c", 5)));
  std::string large;
  while (large.size() <= kMaxConfigSize) large += '#' + std::string(kMaxConfigLine - 2, 'x') + '\n';
  EXPECT_FALSE(memory.read(large));
}

}  // namespace
}  // namespace culvert::files
