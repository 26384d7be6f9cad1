# Everything comes by find_package, the system's packages first. Versions are checked here rather than by the packages: xsimd
# and Eigen call every major version incompatible, and all of xsimd 8 to 13 and Eigen 3.4 to 5 will do.
include_guard()
include(FetchContent)

option(HEADGATE_FETCH_DEPENDENCIES "Download the dependencies that the system lacks" OFF)

# What to download, and the folder of it that is put on the include path: every dependency of ours is headers only.
set(HEADGATE_FETCH_Eigen3 https://gitlab.com/libeigen/eigen.git 3.4.0 . Eigen3::Eigen)
set(HEADGATE_FETCH_xsimd https://github.com/xtensor-stack/xsimd.git 8.1.0 include xsimd)
set(HEADGATE_FETCH_nlohmann_json https://github.com/nlohmann/json.git v3.11.2 single_include nlohmann_json::nlohmann_json)
set(HEADGATE_FETCH_Catch2 https://github.com/catchorg/Catch2.git v2.13.10 single_include Catch2::Catch2)
set(HEADGATE_FETCH_CLI11 https://github.com/CLIUtils/CLI11.git v2.1.2 include CLI11::CLI11)

# headgate_dependency(<package> <minimum version> [OPTIONAL])
function(headgate_dependency package minimum)
  list(GET HEADGATE_FETCH_${package} 0 repository)
  list(GET HEADGATE_FETCH_${package} 1 tag)
  list(GET HEADGATE_FETCH_${package} 2 include_dir)
  list(GET HEADGATE_FETCH_${package} 3 target)
  if(TARGET ${target})
    return()
  endif()

  if(HEADGATE_FETCH_DEPENDENCIES OR "OPTIONAL" IN_LIST ARGN)
    find_package(${package} QUIET GLOBAL)
  else()
    find_package(${package} REQUIRED GLOBAL)
  endif()

  if(${package}_FOUND)
    if(${package}_VERSION VERSION_LESS minimum)
      message(FATAL_ERROR "headgate needs ${package} ${minimum} or newer, found ${${package}_VERSION} in ${${package}_DIR}")
    endif()
    set(${package}_VERSION ${${package}_VERSION} PARENT_SCOPE)
  elseif(HEADGATE_FETCH_DEPENDENCIES AND NOT "OPTIONAL" IN_LIST ARGN)
    message(STATUS "${package}: not on this system, downloading ${tag} from ${repository}")
    # SOURCE_SUBDIR names no folder: the download's own build, with its options and tests, stays out of ours.
    FetchContent_Declare(${package} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW ON SYSTEM SOURCE_SUBDIR none)
    FetchContent_MakeAvailable(${package})
    FetchContent_GetProperties(${package} SOURCE_DIR source_dir)
    add_library(${target} INTERFACE IMPORTED GLOBAL)  # imported, hence SYSTEM and without a place in our export sets
    target_include_directories(${target} INTERFACE ${source_dir}/${include_dir})
    if(package STREQUAL "Catch2")
      set(Catch2_DIR ${source_dir}/contrib PARENT_SCOPE)
    endif()
  endif()
  if(package STREQUAL "xsimd")
    include(${CMAKE_CURRENT_FUNCTION_LIST_DIR}/XsimdWithoutXtl.cmake)
  endif()
endfunction()
