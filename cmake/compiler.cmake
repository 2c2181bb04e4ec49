# SPDX-License-Identifier: Apache-2.0
# The compiler and the flags that every target shares.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  message(FATAL_ERROR
    "g++ ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines (temporaries of a co_await expression are "
    "destroyed twice): use clang 19, on Debian 12 'apt-get install clang-19', or g++ 14 and later")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR "clang ${CMAKE_CXX_COMPILER_VERSION} is too old for std::expected here: use clang 19")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_compile_options(
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Wcast-qual -Wold-style-cast
  -Wno-gnu-statement-expression)  # TRY() is one
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wno-gnu-statement-expression-from-macro-expansion)
endif()
add_compile_options(-fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-O2 -g1 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -ffunction-sections)
  add_link_options(-Wl,-z,relro,-z,now -Wl,--gc-sections)
endif()

set(CULVERT_SANITIZE "" CACHE STRING "Comma-separated sanitizers, e.g. address,undefined or thread")
if(CULVERT_SANITIZE)
  # Optimizing takes more time than it saves in tests that mostly wait.
  add_compile_options(-O0 -g1 -fsanitize=${CULVERT_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CULVERT_SANITIZE})
endif()
if(CULVERT_SANITIZE MATCHES "address")
  # A million addresses of what UBSan says of its checks need no correction at each start: half of what a start costs.
  add_compile_options(-fno-pie)
  add_link_options(-no-pie)
else()
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()

find_program(CULVERT_LLD NAMES ld.lld-19 lld-19)
if(CULVERT_LLD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(-fuse-ld=lld)
endif()
