# SPDX-License-Identifier: BSD-3-Clause
# What reads the runs of a folder and writes their report, with its tests.
add_library(headgate_specialise_records STATIC records.cpp)
target_link_libraries(headgate_specialise_records PUBLIC headgate::headgate PRIVATE headgate::warnings)
set(report_parts expert_maps html_tables pictures plain_tables read_runs report statistics summary)
list(TRANSFORM report_parts APPEND .cpp)
add_library(headgate_specialise_report STATIC ${report_parts})
target_compile_features(headgate_specialise_report PUBLIC cxx_std_20)
target_include_directories(headgate_specialise_report PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(headgate_specialise_report PUBLIC headgate_specialise_records headgate_drawing nlohmann_json::nlohmann_json PRIVATE headgate::warnings)

if(TARGET headgate_test_main)
  add_executable(headgate_specialise_tests tests/report.cpp tests/read_runs.cpp tests/statistics.cpp)
  target_include_directories(headgate_specialise_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(headgate_specialise_tests PRIVATE SPECIALISE_TEST_RUNS="${CMAKE_CURRENT_SOURCE_DIR}/tests/runs")
  target_link_libraries(headgate_specialise_tests PRIVATE headgate_specialise_report headgate_test_main headgate::warnings)
  catch_discover_tests(headgate_specialise_tests PROPERTIES TIMEOUT 60 LABELS examples)
endif()
