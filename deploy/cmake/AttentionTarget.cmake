# How every target of this project is compiled. Included once, by the top CMakeLists.txt.

include(GNUInstallDirs)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(ATTENTION_CCACHE ccache)
if(ATTENTION_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${ATTENTION_CCACHE}")
endif()

# "address;undefined", "thread" or empty; the presets set it.
set(ATTENTION_SANITIZERS "" CACHE STRING "Sanitizers to build everything with")
if(ATTENTION_SANITIZERS)
  list(JOIN ATTENTION_SANITIZERS "," sanitizers)
  # -g1: their reports name functions and lines; to write more takes a quarter of the compilation.
  add_compile_options(
    -fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${sanitizers})
endif()

option(ATTENTION_COVERAGE "Instrument for gcov" OFF)
if(ATTENTION_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()

# Warnings are errors on our own targets; generated code and libraries do not link this.
add_library(attention_warnings INTERFACE)
target_compile_options(attention_warnings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual -Wunused)

if(ATTENTION_SANITIZERS)
  # GCC's flow-sensitive warnings read the sanitizers' own code and report what is not there.
  target_compile_options(attention_warnings INTERFACE
    -Wno-array-bounds -Wno-maybe-uninitialized -Wno-nonnull -Wno-stringop-overflow
    -Wno-stringop-overread)
endif()

# attention_library(NAME SOURCES... [PUBLIC library...] [PRIVATE library...])
# A static library whose headers are included by their path from the top of the source tree.
function(attention_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;PUBLIC;PRIVATE")
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(${name}
    PUBLIC ${arg_PUBLIC}
    PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:attention_warnings>)
endfunction()

# attention_executable(NAME SOURCES... LIBRARIES...)
function(attention_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} attention_warnings)
endfunction()
