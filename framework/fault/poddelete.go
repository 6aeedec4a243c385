package fault

import (
	"context"
	"fmt"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// podDelete deletes an instance without a grace period, and leaves it to its controller to make it anew.
var podDelete = Kind{
	Name: "pod-delete", Level: faultcalc.LevelInstance,
	On: onInstance(func(i provider.Replaceable) Fault { return &podDeleted{instance: i} }),
}

type podDeleted struct {
	instance provider.Replaceable
	before   string // the incarnation that was deleted
}

func (f *podDeleted) Inject(ctx context.Context) error {
	now, err := f.instance.Incarnation(ctx)
	switch {
	case err != nil:
		return err
	case f.before != "" && now != f.before: // deleted already, by us
		return nil
	case now == "":
		return fmt.Errorf("delete %s: it is not there", f.instance.Name())
	}
	f.before = now
	return f.instance.Delete(ctx)
}

// Active stays true after the controller has made the instance anew: the fault happened.
func (f *podDeleted) Active(ctx context.Context) (active bool, seen string, err error) {
	now, err := f.instance.Incarnation(ctx)
	return f.before != "" && now != f.before, fmt.Sprintf("%s was %q and is %q", f.instance.Name(), f.before, now), err
}

// Heal has nothing to do: the controller does it.
func (f *podDeleted) Heal(context.Context) error { f.before = ""; return nil }
