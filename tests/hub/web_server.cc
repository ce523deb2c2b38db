// Serves a file on the loopback address, for tests/system/weights_by_name.sh:
//
//   web_server FILE LOG
//
// Writes its port on the first line of the log, then a line for each request. Ends with its standard input.
#include <fstream>
#include <iostream>
#include <iterator>

#include "hub/loopback_server.h"

int main(int count, char** words) {
  if (count != 3) return 2;
  std::ifstream in(words[1], std::ios::binary);
  const trainer::LoopbackServer server(std::string(std::istreambuf_iterator<char>(in), {}));
  std::ofstream log(words[2]);
  log << server.port() << std::endl;
  std::cin.get();
  for (const std::string& request : server.requests()) log << request << std::endl;
  return 0;
}
