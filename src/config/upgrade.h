// Converts nets and solvers written for earlier versions of Caffe to the current schema: V0 and V1 layers, image
// settings inside data layers, net-level inputs, three `param` entries on BatchNorm, the solver's type as an enum.
#pragma once

#include <functional>
#include <string>

#include "config/message_move.h"
#include "trainer.pb.h"

namespace trainer {

struct UpgradeNote {
  enum class Kind {
    kConverted,  // a legacy form was found and converted without loss
    kImperfect,  // part of it has no equivalent and was dropped
    kError,      // it cannot be converted: a user's mistake, fatal like a syntax error
  };
  Kind kind;
  std::string message;
  // The value that the note is about.
  ValuePlace where;
};

// Called for each note; `where` already reflects the moves reported so far.
using NoteObserver = std::function<void(const UpgradeNote& note)>;

// Converts legacy parts of a net from a text or weight file, in Caffe's order. If there is no note, nothing has
// changed. Does not throw, whatever the file contains; after an error the net is only usable for further diagnosis.
// Sub-messages keep their addresses; `moved` is called for every value that moves.
void upgrade_net(caffe::NetParameter* net, const NoteObserver& noted, const MoveObserver& moved = nullptr);

// Converts solver_type, and completes snapshot_prefix as Caffe does for a solver read from `solver_path`: a missing
// prefix becomes the path without its extension; an existing folder gets the solver's stem appended. With an empty path
// the prefix stays unchanged. Completing the prefix gives no note. Nets inside the solver are left to upgrade_net.
void upgrade_solver(caffe::SolverParameter* solver, const std::string& solver_path, const NoteObserver& noted,
                    const MoveObserver& moved = nullptr);

}  // namespace trainer
