# Installs the kernels to a folder of its own, builds the consumer against them and runs it.
# Expects BUILD_FOLDER (of this project), CONSUMER_FOLDER, WORK_FOLDER, CXX_COMPILER and CXX_FLAGS.

file(REMOVE_RECURSE "${WORK_FOLDER}")
set(prefix "${WORK_FOLDER}/prefix")
execute_process(
  COMMAND "${CMAKE_COMMAND}" --install "${BUILD_FOLDER}" --component kernels --prefix "${prefix}"
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND "${CMAKE_COMMAND}" -S "${CONSUMER_FOLDER}" -B "${WORK_FOLDER}/build"
    "-DCMAKE_PREFIX_PATH=${prefix}" "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}"
    "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}"
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND "${CMAKE_COMMAND}" --build "${WORK_FOLDER}/build"
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_FOLDER}/build/consumer" COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE_RECURSE "${WORK_FOLDER}")
