# SPDX-License-Identifier: Apache-2.0
# Everything from Debian 12 or 13; nothing is vendored. See the table in README.md.

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED CONFIG)
find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(PkgConfig REQUIRED)
# Loaded only when it is needed: src/crypto/bcrypt_pbkdf.cpp.
pkg_check_modules(BOTAN REQUIRED botan-2)
string(REGEX MATCH "^2\\.([0-9]+)" matched "${BOTAN_VERSION}")
set(CULVERT_BOTAN_LIBRARY "libbotan-2.so.${CMAKE_MATCH_1}")
pkg_check_modules(TOMLPLUSPLUS REQUIRED IMPORTED_TARGET tomlplusplus)

pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
# Of its parsers alone: src/proto/gateway/igd.cpp.
pkg_check_modules(MINIUPNPC REQUIRED IMPORTED_TARGET miniupnpc)
# Its header alone: src/net/nft_tables.cpp loads it when rules are wanted.
pkg_check_modules(NFTABLES REQUIRED libnftables)

add_library(culvert_asio INTERFACE)
# Asio gives a frame that is freed to the next coroutine, however small that is: those that wait for as long as a stream
# lives then sit in the frames of those that dialed for it. (docs/decisions/readiness.md)
target_compile_definitions(culvert_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_HAS_CO_AWAIT
  BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=1)
target_link_libraries(culvert_asio INTERFACE Boost::headers Threads::Threads)

# Boost.JSON of its headers alone, compiled here once.
set(source ${PROJECT_BINARY_DIR}/culvert_json.cpp)
file(CONFIGURE OUTPUT ${source} CONTENT "#include <boost/json/src.hpp>\n")
add_library(culvert_json STATIC ${source})
target_include_directories(culvert_json SYSTEM PUBLIC ${Boost_INCLUDE_DIRS})

# AES-GCM with VAES/AVX-512. amd64 only, so optional: OpenSSL's EVP otherwise.
find_path(IPSEC_MB_INCLUDE intel-ipsec-mb.h)
find_library(IPSEC_MB_LIBRARY NAMES IPSec_MB)
if(IPSEC_MB_INCLUDE AND IPSEC_MB_LIBRARY)
  add_library(culvert_ipsec_mb INTERFACE)
  target_include_directories(culvert_ipsec_mb SYSTEM INTERFACE ${IPSEC_MB_INCLUDE})
  target_link_libraries(culvert_ipsec_mb INTERFACE ${IPSEC_MB_LIBRARY})
  target_compile_definitions(culvert_ipsec_mb INTERFACE CULVERT_HAVE_IPSEC_MB=1)
endif()

if(CULVERT_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
