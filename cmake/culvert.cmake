# SPDX-License-Identifier: Apache-2.0
# A folder of src/ is a library. Files named *_test.cpp become its test program, each *_fuzz.cpp a fuzz harness.

set(CULVERT_SOURCE_ROOT ${PROJECT_SOURCE_DIR}/src)

# culvert_library(FOLDER [PRECOMPILE_ASIO] [DEPENDS folder...] [LIBRARIES target...])
# makes culvert_FOLDER ('/' becomes '_'), its unit tests and its fuzz harnesses.
function(culvert_library folder)
  cmake_parse_arguments(ARG "PRECOMPILE_ASIO" "" "DEPENDS;LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" suffix ${folder})
  set(name culvert_${suffix})

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CULVERT_SOURCE_ROOT}/${folder}/*.cpp)
  set(tests ${sources})
  set(harnesses ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz|/main)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER harnesses INCLUDE REGEX "_fuzz\\.cpp$")

  list(TRANSFORM ARG_DEPENDS REPLACE "/" "_")
  list(TRANSFORM ARG_DEPENDS PREPEND culvert_)
  if(sources)
    set(scope PUBLIC)
    add_library(${name} STATIC ${sources})
  else()
    set(scope INTERFACE)
    add_library(${name} INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${CULVERT_SOURCE_ROOT})
  target_link_libraries(${name} ${scope} ${ARG_DEPENDS} ${ARG_LIBRARIES})
  # Coverage for the fuzzer, where its harnesses lead to: it makes an object half as long again to compile.
  if(CULVERT_FUZZ AND sources AND folder MATCHES "^(base|crypto|proto/.*|files)$")
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  if(sources)
    culvert_precompile(${name} ${ARG_PRECOMPILE_ASIO})
  endif()

  if(CULVERT_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(${name}_test PRIVATE CULVERT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(${name}_test PRIVATE ${name} GTest::gtest GTest::gtest_main)
    # The code under test is compiled as it runs; optimizing the tests themselves takes half of the build.
    target_compile_options(${name}_test PRIVATE -O0 -U_FORTIFY_SOURCE)
    culvert_precompile(${name}_test ${ARG_PRECOMPILE_ASIO} <gtest/gtest.h>)
    add_test(NAME ${suffix} COMMAND ${name}_test)
  endif()

  if(CULVERT_FUZZ)
    foreach(harness ${harnesses})
      get_filename_component(program ${harness} NAME_WE)
      add_executable(${program} ${harness})
      target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR})
      target_link_libraries(${program} PRIVATE ${name})
      target_compile_options(${program} PRIVATE -fsanitize=fuzzer-no-link)
      target_link_options(${program} PRIVATE -fsanitize=fuzzer)
      set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
    endforeach()
  endif()
endfunction()

# culvert_precompile(TARGET WITH_ASIO [header...])
# An Asio file costs 5 s to compile, 2 s with its headers precompiled; gtest and fmt cost a second each.
function(culvert_precompile target with_asio)
  set(headers <algorithm> <expected> <functional> <fmt/format.h> <memory> <optional> <span> <string> <variant> <vector>)
  if(with_asio)
    list(APPEND headers <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp> <boost/asio/io_context.hpp>
      <boost/asio/ip/tcp.hpp> <boost/asio/steady_timer.hpp> <boost/asio/use_awaitable.hpp>)
  endif()
  target_precompile_headers(${target} PRIVATE ${headers} ${ARGN})
endfunction()
