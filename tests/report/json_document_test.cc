// Nested JSON documents.
#include "report/json_document.h"

#include <gtest/gtest.h>

#include <limits>

namespace trainer {
namespace {

TEST(JsonDocument, NestsObjectsAndArrays) {
  JsonDocument json;
  json.add("text", "a \"b\"\n").add("number", 3).add("share", 0.25);
  json.open_array("list").open_object().add("x", int64_t{1}).close().open_array().add_text("y").close().close();
  json.open_object("empty")
      .close()
      .add("words", std::vector<std::string>{"p", "q"})
      .add("nan", std::numeric_limits<double>::quiet_NaN())
      .add_bool("yes", true);
  json.open_array("numbers").add_number(int64_t{7}).add_number(0.5).close();
  EXPECT_EQ(json.text(),
            "{\"text\":\"a \\\"b\\\"\\n\",\"number\":3,\"share\":0.25,\"list\":[{\"x\":1},[\"y\"]],\"empty\":{},"
            "\"words\":[\"p\",\"q\"],\"nan\":null,\"yes\":true,\"numbers\":[7,0.5]}\n");
}

}  // namespace
}  // namespace trainer
