# Backends that need a toolkit: say at once what is missing, before anything is compiled.

function(lcrt_missing option what hint)
  message(FATAL_ERROR "${option}=ON, not found: ${what}.\n${hint}, or configure without ${option}.")
endfunction()

include(CheckLanguage)

if(LCRT_CUDA)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    lcrt_missing(LCRT_CUDA "nvcc, the compiler of the CUDA toolkit"
      "Install the CUDA toolkit and put its bin folder on PATH, or name the compiler with CUDACXX")
  endif()
  find_package(CUDAToolkit QUIET)
  if(NOT TARGET CUDA::cudart OR NOT TARGET CUDA::cublas)
    lcrt_missing(LCRT_CUDA "the CUDA runtime or cuBLAS"
      "Install the whole CUDA toolkit, or name it with CUDAToolkit_ROOT")
  endif()
  if(LCRT_NATIVE AND NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES native)
  endif()
endif()

if(LCRT_HIP)
  check_language(HIP)
  if(NOT CMAKE_HIP_COMPILER)
    lcrt_missing(LCRT_HIP "hipcc or ROCm's clang"
      "Install ROCm's HIP SDK and put its bin folder on PATH, or name the compiler with HIPCXX")
  endif()
endif()

if(LCRT_VULKAN)
  find_package(Vulkan QUIET COMPONENTS glslc)
  if(NOT Vulkan_INCLUDE_DIR OR NOT Vulkan_LIBRARY)
    lcrt_missing(LCRT_VULKAN "the Vulkan headers and loader"
      "Install the Vulkan SDK (on Debian: libvulkan-dev), or name it with VULKAN_SDK")
  endif()
  if(NOT Vulkan_GLSLC_EXECUTABLE)
    lcrt_missing(LCRT_VULKAN "glslc, the shader compiler" "Install it (on Debian: glslc)")
  endif()
  find_package(SPIRV-Headers QUIET CONFIG)
  if(NOT SPIRV-Headers_FOUND)
    lcrt_missing(LCRT_VULKAN "SPIRV-Headers" "Install it (on Debian: spirv-headers)")
  endif()
endif()

if(LCRT_METAL AND NOT APPLE)
  lcrt_missing(LCRT_METAL "an Apple system with Metal" "Build on macOS")
endif()
