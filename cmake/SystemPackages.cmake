# A dependency provider: installs the system packages that the build asks for and the machine lacks. Only our presets name it
# (CMAKE_PROJECT_TOP_LEVEL_INCLUDES), so neither a consumer nor a build by hand ever sees it.
# It acts on find_package(<one of ours> REQUIRED) alone, and leaves the search itself to CMake.

#   CMake package   Debian              Homebrew          Fedora                  Arch
set(headgate_packages
  "Eigen3         libeigen3-dev       eigen             eigen3-devel            eigen"
  "xsimd          libxsimd-dev        xsimd             xsimd-devel             xsimd"
  "nlohmann_json  nlohmann-json3-dev  nlohmann-json     json-devel              nlohmann-json"
  "Catch2         catch2              catch2            catch-devel             catch2"
  "CLI11          libcli11-dev        cli11             cli11-devel             cli11"
  "benchmark      libbenchmark-dev    google-benchmark  google-benchmark-devel  benchmark"
  "MPI            libopenmpi-dev      open-mpi          openmpi-devel           openmpi")

# The packages of one column as a command line; all of them, so that the user has to type it once.
function(headgate_package_list column out)
  set(names "")
  foreach(row IN LISTS headgate_packages)
    separate_arguments(row UNIX_COMMAND "${row}")
    list(GET row ${column} name)
    string(APPEND names " ${name}")
  endforeach()
  set(${out} "${names}" PARENT_SCOPE)
endfunction()

# Stops with one sentence. The package is called found, lest CMake's own search add a page of its own after it.
macro(headgate_stop sentence)
  set(${package}_FOUND TRUE PARENT_SCOPE)
  message(FATAL_ERROR "${sentence}")
endmacro()

function(headgate_install_package package debian)
  find_program(HEADGATE_APT_GET apt-get)
  mark_as_advanced(HEADGATE_APT_GET)
  if(NOT HEADGATE_APT_GET)
    foreach(manager IN ITEMS "brew install;2" "sudo dnf install;3" "sudo pacman -S;4")
      list(GET manager 0 command)
      list(GET manager 1 column)
      string(REGEX MATCH "brew|dnf|pacman" program "${command}")
      find_program(manager_found ${program} NO_CACHE)
      if(manager_found)
        headgate_package_list(${column} names)
        headgate_stop("headgate needs ${package}; please type\n  ${command}${names}\nand start again.")
      endif()
    endforeach()
    return()  # no package manager we know: CMake's own message names the package
  endif()

  headgate_package_list(1 names)
  set(by_hand "please type\n  sudo apt-get install${names}\nand start again.")
  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(as_root "")
  if(NOT user STREQUAL "0")
    find_program(HEADGATE_SUDO sudo)
    mark_as_advanced(HEADGATE_SUDO)
    set(allowed 1)
    if(HEADGATE_SUDO)
      execute_process(COMMAND ${HEADGATE_SUDO} -n true RESULT_VARIABLE allowed OUTPUT_QUIET ERROR_QUIET)
    endif()
    if(NOT allowed EQUAL 0)
      headgate_stop("headgate needs ${package}, and installing it takes the rights of root; ${by_hand}")
    endif()
    set(as_root ${HEADGATE_SUDO} -n)
  endif()

  set(apt_get ${as_root} env DEBIAN_FRONTEND=noninteractive ${HEADGATE_APT_GET} -qq -o DPkg::Lock::Timeout=120)
  message(STATUS "${package}: not on this system, installing ${debian} (apt-get install ${debian})")
  set(install ${apt_get} install -y --no-install-recommends ${debian})
  execute_process(COMMAND ${install} RESULT_VARIABLE failed OUTPUT_VARIABLE log ERROR_VARIABLE log)
  if(failed)
    message(STATUS "${package}: refreshing the list of packages first (apt-get update)")
    execute_process(COMMAND ${apt_get} update OUTPUT_VARIABLE log ERROR_VARIABLE log)
    execute_process(COMMAND ${install} RESULT_VARIABLE failed OUTPUT_VARIABLE log ERROR_VARIABLE log)
  endif()
  if(failed)
    headgate_stop("apt-get could not install ${debian}, which headgate needs:\n${log}\nOnce that is mended, ${by_hand}")
  endif()
endfunction()

# A macro, because the variables that find_package sets belong to the caller.
macro(headgate_provide_package method package)
  set(headgate_row_of_${package} ${headgate_packages})  # a name of its own: the search may look for further packages in here
  list(FILTER headgate_row_of_${package} INCLUDE REGEX "^${package} ")
  set(headgate_arguments ${ARGN})
  if(headgate_row_of_${package} AND "REQUIRED" IN_LIST headgate_arguments)
    list(REMOVE_ITEM headgate_arguments REQUIRED)
    find_package(${package} ${headgate_arguments} QUIET BYPASS_PROVIDER)
    if(NOT ${package}_FOUND)
      separate_arguments(headgate_row_of_${package} UNIX_COMMAND "${headgate_row_of_${package}}")
      list(GET headgate_row_of_${package} 1 headgate_debian_package)
      headgate_install_package(${package} ${headgate_debian_package})
    endif()
  endif()
endmacro()

cmake_language(SET_DEPENDENCY_PROVIDER headgate_provide_package SUPPORTED_METHODS FIND_PACKAGE)
