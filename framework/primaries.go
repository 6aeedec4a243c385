package framework

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/cutset-dev/cutset/faultcalc"
)

// restorePrimaries makes those copies primaries again that were so when the plan was made. Otherwise what a fault set hits would depend on
// the failovers before, and neither a case that is done again, nor its repeats, nor smaller parts of its set would be comparable with it.
// That it can't be done is no failure: the case is done with the primaries that there are.
func (r *run) restorePrimaries(ctx context.Context) {
	if r.broken || !r.config.restorePrimaries {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.redundancy)
	defer cancel()
	moved, err := r.moved(ctx)
	if err == nil && len(moved) > 0 {
		err = r.switchOver(ctx, moved)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		r.log.Warn("the primaries of the plan could not be restored", "error", err)
	}
}

// moved returns, by shard, the primary of the plan where another copy is that now.
func (r *run) moved(ctx context.Context) (map[int]string, error) {
	now, err := r.target.Primaries(ctx)
	if err != nil {
		return nil, err
	}
	moved := map[int]string{}
	for _, s := range r.topology.Tables[0].Shards {
		for _, replica := range s.Replicas {
			if replica.Role == faultcalc.RolePrimary && now[s.Number] != replica.Instance {
				moved[s.Number] = replica.Instance
			}
		}
	}
	return moved, nil
}

// switchOver moves the primaries of several shards, and waits until all is as it was at the start. A copy has to be whole to be promoted.
func (r *run) switchOver(ctx context.Context, to map[int]string) error {
	if err := r.wait(ctx, r.config.redundancy, "full redundancy before a switchover", r.target.Redundant); err != nil {
		return err
	}
	var group errgroup.Group
	for shard, instance := range to {
		group.Go(func() error { return r.target.SwitchOver(ctx, shard, instance) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.wait(ctx, r.config.redundancy, "the primaries of the plan", func(ctx context.Context) error {
		if err := r.target.Redundant(ctx); err != nil { // first: it is careful with who is being elected
			return err
		}
		moved, err := r.moved(ctx)
		if err == nil && len(moved) > 0 {
			err = fmt.Errorf("still elsewhere: %v", moved)
		}
		return err
	})
}
