# llama.cpp: the pin -> its source -> GGML_* switches -> the targets ggml, llama, llama-common and mtmd.

set(LCRT_LLAMA_CPP_DIR "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/src" CACHE PATH "llama.cpp source tree")
if(LCRT_LLAMA_CPP_DIR STREQUAL "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/src")
  # Instant when the tree is there already.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/PIN.toml")
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/fetch.py"
    COMMAND_ERROR_IS_FATAL ANY)
endif()

set(BUILD_SHARED_LIBS ON)
set(GGML_BACKEND_DL ON)
set(GGML_NATIVE OFF)
if(LCRT_NATIVE)
  # Loadable backends refuse GGML_NATIVE; the one CPU backend gets its flag below.
  foreach(feature SSE42 AVX AVX2 BMI2 FMA F16C)
    set(GGML_${feature} OFF)
  endforeach()
else()
  set(GGML_CPU_ALL_VARIANTS ON)
endif()
# ggml's own thread pool: no libgomp to ship, and its polling can be set.
set(GGML_OPENMP OFF)
set(GGML_CUDA ${LCRT_CUDA})
set(GGML_HIP ${LCRT_HIP})
set(GGML_VULKAN ${LCRT_VULKAN})
set(GGML_METAL ${LCRT_METAL})
set(LLAMA_BUILD_COMMON ON)
set(LLAMA_BUILD_MTMD ON)
set(LLAMA_BUILD_TOOLS ${LCRT_PEERS})
set(LLAMA_BUILD_SERVER ${LCRT_PEERS})
set(LLAMA_BUILD_TESTS OFF)
set(LLAMA_BUILD_EXAMPLES OFF)
set(LLAMA_BUILD_APP OFF)
set(LLAMA_BUILD_UI OFF)
set(LLAMA_USE_PREBUILT_UI OFF)
set(LLAMA_OPENSSL OFF)
set(LLAMA_SUBPROCESS OFF)
set(LLAMA_ALL_WARNINGS OFF)

# The numbers of the pin. Left alone, llama.cpp and ggml would take them from this repository's own history.
file(STRINGS "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/PIN.toml" pinned_build REGEX "^build = ")
string(REGEX REPLACE "[^0-9]" "" LLAMA_BUILD_NUMBER "${pinned_build}")
set(LLAMA_BUILD_COMMIT "pinned")
set(GIT_EXE OFF CACHE INTERNAL "ggml asks git for its version, which is ours")

add_subdirectory("${LCRT_LLAMA_CPP_DIR}" "${PROJECT_BINARY_DIR}/llama.cpp" EXCLUDE_FROM_ALL)

# One file per library: a wheel holds no links, so versioned names would travel three times.
set(LCRT_LLAMA_CPP_LIBRARIES ggml-base ggml llama llama-common mtmd)
set_property(TARGET ${LCRT_LLAMA_CPP_LIBRARIES} PROPERTY VERSION)
set_property(TARGET ${LCRT_LLAMA_CPP_LIBRARIES} PROPERTY SOVERSION)
set_property(TARGET ${LCRT_LLAMA_CPP_LIBRARIES} PROPERTY PUBLIC_HEADER)
set_property(TARGET ${LCRT_LLAMA_CPP_LIBRARIES} PROPERTY PRIVATE_HEADER)

# See the headers: what they change is in their first lines. With GCC's intrinsics the AMX kernels crash.
set_property(SOURCE "${LCRT_LLAMA_CPP_DIR}/ggml/src/ggml-cpu/ggml-cpu.c" DIRECTORY "${LCRT_LLAMA_CPP_DIR}/ggml/src"
  APPEND PROPERTY COMPILE_OPTIONS -include "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/spin-yield.h")
set_property(SOURCE "${LCRT_LLAMA_CPP_DIR}/ggml/src/ggml-cpu/ops.cpp" DIRECTORY "${LCRT_LLAMA_CPP_DIR}/ggml/src"
  APPEND PROPERTY COMPILE_OPTIONS -include "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/attention-tiles.h")
set_property(SOURCE "${LCRT_LLAMA_CPP_DIR}/ggml/src/ggml-cpu/amx/mmq.cpp" DIRECTORY "${LCRT_LLAMA_CPP_DIR}/ggml/src"
  APPEND PROPERTY COMPILE_OPTIONS -include "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/amx-gcc.h")

if(NOT LCRT_PEERS)
  # Half-precision weights on AMX: our function stands before ggml's own, which is renamed.
  set_property(SOURCE "${LCRT_LLAMA_CPP_DIR}/ggml/src/ggml-cpu/amx/mmq.cpp" DIRECTORY "${LCRT_LLAMA_CPP_DIR}/ggml/src"
    APPEND PROPERTY COMPILE_DEFINITIONS ggml_backend_amx_mul_mat=ggml_backend_amx_mul_mat_stock)
  # The same with attention.
  set_property(SOURCE "${LCRT_LLAMA_CPP_DIR}/ggml/src/ggml-cpu/ops.cpp" DIRECTORY "${LCRT_LLAMA_CPP_DIR}/ggml/src"
    APPEND PROPERTY COMPILE_DEFINITIONS ggml_compute_forward_flash_attn_ext=ggml_compute_forward_flash_attn_ext_stock)
  # And with what ggml asks before its own functions: half-precision weights on other CPUs, Q4_1, GELU.
  set_property(SOURCE "${LCRT_LLAMA_CPP_DIR}/ggml/src/ggml-cpu/traits.cpp" DIRECTORY "${LCRT_LLAMA_CPP_DIR}/ggml/src"
    APPEND PROPERTY COMPILE_DEFINITIONS ggml_cpu_extra_compute_forward=ggml_cpu_extra_compute_forward_stock)
endif()

# Backends are loaded at run time; llama.cpp makes ggml depend on all that it builds.
get_target_property(LCRT_LLAMA_CPP_BACKENDS ggml MANUALLY_ADDED_DEPENDENCIES)
if(NOT LCRT_PEERS)
  foreach(backend IN LISTS LCRT_LLAMA_CPP_BACKENDS)
    if(backend MATCHES "^ggml-cpu")
      target_sources(${backend} PRIVATE
        "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/amx-half.cpp"
        "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/attention-rows.cpp"
        "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/lanes-half.cpp"
        "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/lanes-ops.cpp"
        "${PROJECT_SOURCE_DIR}/vendor/llama.cpp/lanes-q4.cpp")
    endif()
  endforeach()
endif()

if(LCRT_NATIVE)
  target_compile_options(ggml-cpu PRIVATE -march=native)
  # With half-precision arithmetic ggml works on 128 elements at a time and does what is left one by one: heads of 64
  # then decode three times slower, and sums are kept in 16 bits. No CPU variant of a wheel has it either.
  include(CheckCCompilerFlag)
  check_c_compiler_flag(-mno-avx512fp16 LCRT_HAVE_NO_AVX512FP16)
  if(LCRT_HAVE_NO_AVX512FP16)
    target_compile_options(ggml-cpu PRIVATE -mno-avx512fp16)
  endif()
endif()
