package fault

import (
	"context"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// crash kills everything on a machine at once; instanceCrash an instance with its supervisor. Both stay
// down until they are started again.
var (
	crash = Kind{
		Name: "crash", Level: faultcalc.LevelMachine, Down: true,
		On: onMachine(func(m provider.Machine) Fault { return crashed{m} }),
	}
	instanceCrash = Kind{
		Name: "crash", Level: faultcalc.LevelInstance, Down: true,
		On: onInstance(func(i provider.Instance) Fault { return crashed{i} }),
	}
)

type crashed struct{ node provider.Node }

func (f crashed) Inject(ctx context.Context) error { return f.node.Crash(ctx) }
func (f crashed) Heal(ctx context.Context) error   { return f.node.Start(ctx) }
func (f crashed) Active(ctx context.Context) (active bool, seen string, err error) {
	return inState(ctx, f.node, provider.Dead)
}
