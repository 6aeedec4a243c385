package patroni

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/cutset-dev/cutset/executor"
)

// SwitchOver implements [target.Target]. Patroni answers when the change is made, or has failed.
func (t *Target) SwitchOver(ctx context.Context, shard int, to string) error {
	view, err := t.view(ctx, shard)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(view.Members, member.leads)
	if at < 0 {
		return fmt.Errorf("switch shard %d over to %s: it has no primary to switch from", shard, to)
	}
	leader := view.Members[at].Name
	if leader == to {
		return nil
	}
	body, err := json.Marshal(map[string]string{"leader": leader, "candidate": to})
	if err != nil {
		return err
	}
	copies := t.copiesOf(shard)
	at = slices.IndexFunc(copies, func(c copyOf) bool { return c.Instance == leader })
	if at < 0 {
		return fmt.Errorf("switch shard %d over to %s: its primary %s is not of this deployment", shard, to, leader)
	}
	_, err = executor.Do(ctx, t.commands, executor.Command[struct{}]{
		Name: "switch over to " + to, Class: "collect", Target: leader, // no probe: it takes seconds
		Run: func(ctx context.Context, _ executor.Attempt) (struct{}, error) {
			return struct{}{}, t.call(ctx, http.MethodPost, copies[at], "/switchover", body, nil)
		},
	})
	if err != nil {
		return fmt.Errorf("switch shard %d over from %s to %s: %w", shard, leader, to, err)
	}
	return nil
}
