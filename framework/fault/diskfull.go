package fault

import (
	"context"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// diskFull leaves no room on the disk that a machine's instances keep their data on. They may go on serving what needs none.
var diskFull = Kind{
	Name: "disk-full", Level: faultcalc.LevelMachine, Serves: true, Settles: true,
	OnRequest: "a primary on a full disk refuses writes, and Patroni leaves it in its place",
	On:        onMachine(func(m provider.Fillable) Fault { return filled{m} }),
}

type filled struct{ machine provider.Fillable }

func (f filled) Inject(ctx context.Context) error { return f.machine.Fill(ctx) }
func (f filled) Heal(ctx context.Context) error   { return f.machine.Free(ctx) }
func (f filled) Active(ctx context.Context) (active bool, seen string, err error) {
	return f.machine.Full(ctx)
}
