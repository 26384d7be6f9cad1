# Compiles `source` with `compiler` and passes if that fails with the sentence of the source's first line.
file(READ ${source} text)
if(NOT text MATCHES "^// expect: ([^\n]+)\n")
  message(FATAL_ERROR "${source}: the first line must be `// expect: <sentence>`")
endif()
set(expect "${CMAKE_MATCH_1}")

execute_process(COMMAND ${compiler} -fsyntax-only ${source} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
string(FIND "${said}" "${expect}" at)
if(NOT failed)
  message(FATAL_ERROR "${source} compiles; it must fail with: ${expect}")
elseif(at EQUAL -1)
  message(FATAL_ERROR "${source} fails, but without the sentence: ${expect}\nThe compiler said:\n${said}")
endif()
