// How a data layer prepares pictures for its net, without its data set: weight files keep it, and `trainer predict`
// prepares other pictures in the same way.
#pragma once

#include <optional>
#include <string>

#include "data/batch_feed.h"
#include "data/pictures/pixel_view.h"
#include "trainer.pb.h"

namespace trainer {

// The extents of a record before transform_param: height and width are 0 if records are image files, which have their
// own. Reads the first record that can be used.
ItemShape stored_shape(BatchFeed& feed);

// The preparation that an ImageData layer has, or a Data layer with records of the extents `stored`; nullopt for all
// other layers.
std::optional<caffe::PictureInput> picture_input_of(const caffe::LayerParameter& layer, const ItemShape& stored);

// Turns a layer into one of type ImageData that prepares pictures in this way. Its source is to be given
// (DataReading::images).
void read_pictures(const caffe::PictureInput& input, uint32_t batch_size, caffe::LayerParameter* layer);

// The extents of an item, 0 if they depend on the picture.
ItemShape item_shape(const caffe::PictureInput& input);

// The fields that give other values to the same pixel, such as `mean_value: 128 in A, but mean_value: 104 in B`; "" if
// there are none.
std::string color_difference(const caffe::PictureInput& first, const std::string& first_name,
                             const caffe::PictureInput& second, const std::string& second_name);

}  // namespace trainer
