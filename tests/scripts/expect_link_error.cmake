# Compiles main.cpp with AVX2 and user.cpp without; both must compile, and the two must not link.
set(objects "")
foreach(unit IN ITEMS main user)
  set(flags -march=x86-64)
  if(unit STREQUAL "main")
    set(flags -mavx2 -mfma -mf16c)
  endif()
  set(object ${binaries}/odr_${unit}.o)
  execute_process(COMMAND ${compiler} ${flags} -c ${sources}/${unit}.cpp -o ${object} COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND objects ${object})
endforeach()

execute_process(COMMAND ${compiler} ${objects} -o ${binaries}/odr_two_isas
                RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(NOT failed)
  message(FATAL_ERROR "objects of two instruction sets link; they must not")
elseif(NOT said MATCHES "undefined reference[^\n]*run")
  message(FATAL_ERROR "linking fails, but not because run() has another name in each:\n${said}")
endif()
