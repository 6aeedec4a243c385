package fault

import (
	"context"
	"fmt"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// supervisorKill kills what looks after a database server, and leaves the server running. It stays dead until the heal, which starts it
// beside its server. The server goes on meanwhile, and nobody tells it that another one has taken its place.
var supervisorKill = Kind{
	Name: "supervisor-kill", Level: faultcalc.LevelInstance,
	On: onInstance(func(i provider.Instance) Fault { return supervisorKilled{i} }),
}

type supervisorKilled struct{ instance provider.Instance }

func (f supervisorKilled) Inject(ctx context.Context) error {
	switch running, seen, err := inState(ctx, f.instance.Server(), provider.Running); {
	case err != nil:
		return err
	case !running:
		return fmt.Errorf("kill %s and leave its server running: %s", f.instance.Supervisor().Name(), seen)
	}
	return f.instance.Supervisor().Crash(ctx)
}

func (f supervisorKilled) Heal(ctx context.Context) error { return f.instance.Supervisor().Start(ctx) }

// Active is false, too, where the server is gone with its supervisor.
func (f supervisorKilled) Active(ctx context.Context) (active bool, seen string, err error) {
	dead, supervisor, err := inState(ctx, f.instance.Supervisor(), provider.Dead)
	if err != nil {
		return false, supervisor, err
	}
	running, server, err := inState(ctx, f.instance.Server(), provider.Running)
	return dead && running, supervisor + "; " + server, err
}
