package fault

import (
	"context"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// drain empties a machine as for maintenance: instances are evicted, in an orderly way, and have nowhere else to go.
var drain = Kind{
	Name: "drain", Level: faultcalc.LevelMachine, Down: true,
	On: onMachine(func(m provider.Drainable) Fault { return drained{m} }),
}

type drained struct{ machine provider.Drainable }

func (f drained) Inject(ctx context.Context) error { return f.machine.Drain(ctx) }
func (f drained) Heal(ctx context.Context) error   { return f.machine.Uncordon(ctx) }
func (f drained) Active(ctx context.Context) (active bool, seen string, err error) {
	return f.machine.Drained(ctx)
}
