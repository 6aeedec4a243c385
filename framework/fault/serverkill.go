package fault

import (
	"context"
	"fmt"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// serverKill kills the database server and leaves it to its supervisor to bring it back.
var serverKill = Kind{
	Name: "server-kill", Level: faultcalc.LevelInstance,
	On: onInstance(func(i provider.Instance) Fault { return &serverKilled{server: i.Server()} }),
}

type serverKilled struct {
	server provider.Node
	before string // the generation that was killed
}

func (f *serverKilled) Inject(ctx context.Context) error {
	o, err := f.server.Observe(ctx)
	if err != nil {
		return err
	}
	switch {
	case o.Generation != "":
		f.before = o.Generation
		return f.server.Crash(ctx)
	case f.before != "": // dead already, by us
		return nil
	default:
		return fmt.Errorf("kill %s: it is not running", f.server.Name())
	}
}

// Active stays true after the supervisor has brought the server back: the fault happened.
func (f *serverKilled) Active(ctx context.Context) (active bool, seen string, err error) {
	o, err := f.server.Observe(ctx)
	killed := f.before != "" && o.Generation != f.before
	return killed, fmt.Sprintf("%s was %q and is %q", f.server.Name(), f.before, o.Generation), err
}

// Heal has nothing to do: the supervisor does it.
func (f *serverKilled) Heal(context.Context) error { f.before = ""; return nil }
