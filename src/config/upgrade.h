// Nets and solvers written for earlier versions of Caffe, brought to the current schema: V0 and V1 layers,
// image settings inside data layers, net-level inputs, three `param` entries on BatchNorm, the solver's type
// as an enum.
#pragma once

#include <functional>
#include <string>

#include "config/message_move.h"
#include "trainer.pb.h"

namespace trainer {

struct UpgradeNote {
  enum class Kind {
    kConverted,  // a legacy form was found and converted without loss
    kImperfect,  // something in it has no counterpart and was dropped
    kError,      // it cannot be converted: a user's mistake, as fatal as a syntax error
  };
  Kind kind;
  std::string message;
  // What the note is about.
  ValuePlace where;
};

// Hears of each note at a moment at which `where` stands where the moves told so far have brought it.
using NoteObserver = std::function<void(const UpgradeNote& note)>;

// Converts what is legacy in a net read from a text or weight file, in Caffe's order. Without a note nothing
// has changed. Does not throw for what a file may contain; after an error the net is fit for further
// diagnosis only. Sub-messages keep their addresses; `moved` hears of every value that gets another place.
void upgrade_net(caffe::NetParameter* net, const NoteObserver& noted, const MoveObserver& moved = nullptr);

// Converts solver_type, and completes snapshot_prefix as Caffe does for a solver read from `solver_path`:
// absent, it is the path without its extension; an existing folder, the solver's stem inside it. With an
// empty path the prefix stays as it is. Nets written into the solver are left to upgrade_net. Completing the
// prefix is no note.
void upgrade_solver(caffe::SolverParameter* solver, const std::string& solver_path, const NoteObserver& noted,
                    const MoveObserver& moved = nullptr);

}  // namespace trainer
