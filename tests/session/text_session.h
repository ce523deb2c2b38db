// A net session of a prototxt text.
#pragma once

#include <string>
#include <utility>

#include "config/prototxt.h"
#include "session/net_session.h"
#include "test_environment.h"

namespace trainer {

struct TextSession {
  // Throws the mistakes of the text and of the net.
  explicit TextSession(const std::string& text, caffe::Phase phase = caffe::TEST, DataReading reading = {},
                       const DeviceSpec& device = test_device(), Group* group = nullptr)
      : positions(parse(text, &net)),
        device_session(device),
        session(net, positions, phase, 1, in_group(group), {}, InputUse::kZeros, {}, std::move(reading)) {}

  caffe::NetParameter net;
  Positions positions;
  DeviceSession device_session;
  NetSession session;

 private:
  DeviceSession& in_group(Group* group) {
    device_session.group = group;
    return device_session;
  }
  static Positions parse(const std::string& text, caffe::NetParameter* net) {
    Positions positions;
    Diagnostics diagnostics;
    parse_prototxt(text, "net.prototxt", net, &positions, &diagnostics);
    diagnostics.throw_if_errors();
    return positions;
  }
};

}  // namespace trainer
