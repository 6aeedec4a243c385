package fault

import (
	"context"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// kubeletStop stops a machine's agent: the instances go on, and must not be harmed by the agent's silence.
var kubeletStop = Kind{
	Name: "kubelet-stop", Level: faultcalc.LevelMachine,
	On: onMachine(func(m provider.Tended) Fault { return agentStopped{m.Agent()} }),
}

type agentStopped struct{ agent provider.Node }

func (f agentStopped) Inject(ctx context.Context) error { return f.agent.Crash(ctx) }
func (f agentStopped) Heal(ctx context.Context) error   { return f.agent.Start(ctx) }
func (f agentStopped) Active(ctx context.Context) (active bool, seen string, err error) {
	return inState(ctx, f.agent, provider.Dead)
}
