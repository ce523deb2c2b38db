// The sequence of upgrades, the small upgrade steps, and the solver's upgrade.
#include "config/upgrade.h"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "config/message_fields.h"
#include "config/upgrade_steps.h"

namespace trainer {
namespace {

using caffe::BlobShape;
using caffe::LayerParameter;
using caffe::NetParameter;
using caffe::SolverParameter;
using google::protobuf::FieldDescriptor;
using Kind = UpgradeNote::Kind;

constexpr int kLegacyAxes = 4;

bool mixes_formats(const NetParameter& net, const NoteObserver& noted) {
  if (net.layers_size() == 0 || net.layer_size() == 0) return false;
  if (noted) {
    noted({Kind::kError,
           fmt::format("the net has {} legacy `layers` entries beside {} `layer` entries; write them all as `layer`",
                       net.layers_size(), net.layer_size()),
           {&net, field_of(net, "layers"), 0}});
  }
  return true;
}

// Gives each input its shape: its input_shape, or its four extents in input_dim.
void fill_input_shapes(NetParameter* net, LayerParameter* layer, const NoteObserver& noted, const MoveObserver& moved) {
  const int inputs = layer->top_size();
  const bool by_shape = net->input_shape_size() > 0;
  const char* source = by_shape ? "input_shape" : "input_dim";
  const int found = by_shape ? net->input_shape_size() : net->input_dim_size();
  const int needed = by_shape ? inputs : kLegacyAxes * inputs;
  if (found != needed && noted) {
    noted({found < needed ? Kind::kError : Kind::kImperfect,
           fmt::format("{} inputs need {} `{}` entries{}, but there are {}{}", inputs, needed, source,
                       by_shape ? "" : " (4 each)", found, found < needed ? "" : ": the last ones are dropped"),
           {net, field_of(*net, source), found < needed ? 0 : needed}});
  }
  if (found < needed) return;

  caffe::InputParameter* settings = layer->mutable_input_param();
  const FieldDescriptor* shapes = field_of(*settings, "shape");
  if (by_shape) {
    move_field(net, field_of(*net, "input_shape"), settings, shapes, moved);
    settings->mutable_shape()->DeleteSubrange(needed, found - needed);
    return;
  }
  const FieldDescriptor* dims = field_of(*net, "input_dim");
  for (int i = 0; i < inputs; ++i) {
    BlobShape* shape = settings->add_shape();
    if (moved) {
      moved({net, dims, kLegacyAxes * i}, {shape, nullptr, -1});
      moved({net, dims, kLegacyAxes * i}, {settings, shapes, i});
    }
    for (int axis = 0; axis < kLegacyAxes; ++axis) {
      shape->add_dim(net->input_dim(kLegacyAxes * i + axis));
      if (moved) moved({net, dims, kLegacyAxes * i + axis}, {shape, field_of(*shape, "dim"), axis});
    }
  }
}

void move_last_layer_to_front(NetParameter* net, const MoveObserver& moved) {
  const FieldDescriptor* layers = field_of(*net, "layer");
  for (int i = net->layer_size() - 1; i > 0; --i) {
    net->mutable_layer()->SwapElements(i, i - 1);
    if (moved) moved({net, layers, i - 1}, {net, layers, i});
  }
}

void upgrade_inputs(NetParameter* net, const NoteObserver& noted, const MoveObserver& moved) {
  if (net->input_size() == 0) return;
  const FieldDescriptor* input = field_of(*net, "input");
  if (net->input_shape_size() == 0 && net->input_dim_size() == 0) {
    // Old weight files name their inputs without a shape.
    if (noted) noted({Kind::kConverted, "`input` without a shape was dropped", {net, input, 0}});
  } else {
    if (noted) noted({Kind::kConverted, "`input` was converted to an Input layer", {net, input, 0}});
    LayerParameter* layer = net->add_layer();
    move_last_layer_to_front(net, moved);
    layer->set_name("input");
    layer->set_type("Input");
    if (moved) {
      moved({net, input, 0}, {layer, nullptr, -1});
      moved({net, input, 0}, {layer, field_of(*layer, "name"), -1});
      moved({net, input, 0}, {layer, field_of(*layer, "type"), -1});
      moved({net, input, 0}, {layer, field_of(*layer, "input_param"), -1});
      moved({net, input, 0}, {net, field_of(*net, "layer"), 0});
    }
    move_field(net, input, layer, field_of(*layer, "top"), moved);
    fill_input_shapes(net, layer, noted, moved);
  }
  net->clear_input();
  net->clear_input_shape();
  net->clear_input_dim();
}

// The statistics of BatchNorm are not learned: any rates in an old file are set to 0.
void freeze_batch_norm(NetParameter* net, const NoteObserver& noted) {
  bool any = false;
  for (LayerParameter& layer : *net->mutable_layer()) {
    if (layer.type() != "BatchNorm" || layer.param_size() != 3) continue;
    for (int i = 0; i < layer.param_size(); ++i) {
      caffe::ParamSpec* spec = layer.mutable_param(i);
      if (spec->has_lr_mult() && spec->lr_mult() == 0 && spec->has_decay_mult() && spec->decay_mult() == 0) continue;
      spec->set_lr_mult(0);
      spec->set_decay_mult(0);
      if (noted && !any) {
        noted({Kind::kConverted,
               "lr_mult and decay_mult of the statistics of BatchNorm were set to 0",
               {&layer, field_of(layer, "param"), i}});
      }
      any = true;
    }
  }
}

const char* solver_type_string(SolverParameter::SolverType type) {
  switch (type) {
    case SolverParameter::SGD: return "SGD";
    case SolverParameter::NESTEROV: return "Nesterov";
    case SolverParameter::ADAGRAD: return "AdaGrad";
    case SolverParameter::RMSPROP: return "RMSProp";
    case SolverParameter::ADADELTA: return "AdaDelta";
    case SolverParameter::ADAM: return "Adam";
  }
  return "SGD";
}

void upgrade_solver_type(SolverParameter* solver, const NoteObserver& noted, const MoveObserver& moved) {
  if (!solver->has_solver_type()) return;
  const ValuePlace legacy{solver, field_of(*solver, "solver_type"), -1};
  if (solver->has_type()) {
    if (noted) noted({Kind::kError, "`solver_type` is the legacy form of `type`; keep only `type`", legacy});
    return;
  }
  if (noted) noted({Kind::kConverted, "`solver_type` was converted to `type`", legacy});
  solver->set_type(solver_type_string(solver->solver_type()));
  if (moved) moved(legacy, {solver, field_of(*solver, "type"), -1});
  solver->clear_solver_type();
}

void complete_snapshot_prefix(SolverParameter* solver, const std::filesystem::path& solver_path) {
  std::error_code ignored;
  if (!solver->has_snapshot_prefix()) {
    solver->set_snapshot_prefix(std::filesystem::path(solver_path).replace_extension().string());
  } else if (std::filesystem::is_directory(solver->snapshot_prefix(), ignored)) {
    solver->set_snapshot_prefix((std::filesystem::path(solver->snapshot_prefix()) / solver_path.stem()).string());
  }
}

}  // namespace

void upgrade_net(NetParameter* net, const NoteObserver& noted, const MoveObserver& moved) {
  if (mixes_formats(*net, noted)) return;
  if (!upgrade_v0_layers(net, noted, moved)) return;
  upgrade_v1_layers(net, noted, moved);
  upgrade_inputs(net, noted, moved);
  freeze_batch_norm(net, noted);
}

void upgrade_solver(SolverParameter* solver, const std::string& solver_path, const NoteObserver& noted,
                    const MoveObserver& moved) {
  upgrade_solver_type(solver, noted, moved);
  if (!solver_path.empty()) complete_snapshot_prefix(solver, solver_path);
}

}  // namespace trainer
