package fault

import (
	"context"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// hang stops everything on a machine in its tracks; instanceHang an instance with its supervisor;
// serverHang the database server alone, under a supervisor that goes on and waits for it. Connections stay open,
// new ones are accepted by the kernel, and nobody answers.
var (
	hang = Kind{
		Name: "hang", Level: faultcalc.LevelMachine, Down: true,
		On: onMachine(func(m provider.Machine) Fault { return hung{m} }),
	}
	instanceHang = Kind{
		Name: "hang", Level: faultcalc.LevelInstance, Down: true,
		On: onInstance(func(i provider.Instance) Fault { return hung{i} }),
	}
	serverHang = Kind{
		Name: "server-hang", Level: faultcalc.LevelInstance, Down: true,
		On: onInstance(func(i provider.Instance) Fault { return hung{i.Server()} }),
	}
)

type hung struct{ node provider.Node }

func (f hung) Inject(ctx context.Context) error { return f.node.Hang(ctx) }
func (f hung) Heal(ctx context.Context) error   { return f.node.Resume(ctx) }
func (f hung) Active(ctx context.Context) (active bool, seen string, err error) {
	return inState(ctx, f.node, provider.Hung)
}
