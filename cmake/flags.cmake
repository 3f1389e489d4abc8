# Flags of lcrt's own C and C++: the target lcrt_flags, linked privately by everything under csrc.

add_library(lcrt_flags INTERFACE)
target_include_directories(lcrt_flags INTERFACE "${PROJECT_SOURCE_DIR}/csrc/include")
target_compile_definitions(lcrt_flags INTERFACE _GNU_SOURCE)
target_compile_options(lcrt_flags INTERFACE
  -O3 -Wall -Wextra -Wconversion -Wshadow
  "$<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes>"
  "$<$<BOOL:${LCRT_WERROR}>:-Werror>"
  "$<$<C_COMPILER_ID:GNU>:-fno-semantic-interposition>")

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

if(LCRT_SANITIZE STREQUAL "address")
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(LCRT_SANITIZE STREQUAL "thread")
  set(sanitizers -fsanitize=thread)
elseif(LCRT_SANITIZE)
  message(FATAL_ERROR "LCRT_SANITIZE is '${LCRT_SANITIZE}': it takes address or thread")
endif()
if(LCRT_SANITIZE)
  target_compile_options(lcrt_flags INTERFACE ${sanitizers} -O1 -g -fno-omit-frame-pointer)
  target_link_options(lcrt_flags INTERFACE ${sanitizers})
endif()
