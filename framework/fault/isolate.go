package fault

import (
	"context"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// isolate cuts a machine off from all of its peers, and from the others of its fault set. Clients still reach it.
var isolate = Kind{
	Name: "isolate", Level: faultcalc.LevelMachine, Down: true, Settles: true,
	On: onMachine(func(m provider.Machine) Fault { return isolated{m} }),
}

type isolated struct{ machine provider.Machine }

func (f isolated) Inject(ctx context.Context) error { return f.machine.Isolate(ctx) }
func (f isolated) Heal(ctx context.Context) error   { return f.machine.Rejoin(ctx) }
func (f isolated) Active(ctx context.Context) (active bool, seen string, err error) {
	return f.machine.Isolated(ctx)
}
