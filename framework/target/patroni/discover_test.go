package patroni

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/faultcalc"
)

// What GET /cluster of Patroni 3.0.2 answered, shortened: s2-m4 is cut off from the primary, and s2-m5 may not be promoted.
const answer = `{"members": [
  {"name": "s2-m2", "role": "leader", "state": "running", "api_url": "http://10.77.0.11:8010/patroni", "host": "10.77.0.11", "port": 5434, "timeline": 1},
  {"name": "s2-m3", "role": "sync_standby", "state": "running", "host": "10.77.0.12", "port": 5434, "timeline": 1, "lag": 0},
  {"name": "s2-m4", "role": "replica", "state": "starting", "host": "10.77.0.13", "port": 5434, "lag": "unknown"},
  {"name": "s2-m5", "role": "replica", "state": "streaming", "tags": {"nofailover": true}, "lag": 0},
  {"name": "s2-m6", "role": "replica", "state": "running", "lag": 0}
]}`

func TestDescribe(t *testing.T) {
	var view clusterView
	if err := json.Unmarshal([]byte(answer), &view); err != nil {
		t.Fatal(err)
	}
	const up, down = faultcalc.StateAvailable, faultcalc.StateUnavailable
	for _, c := range []struct {
		name        string
		synchronous bool
		want        []faultcalc.Replica
	}{
		{"synchronous mode promotes synchronous standbys only", true, []faultcalc.Replica{
			{Instance: "s2-m2", Role: faultcalc.RolePrimary, State: up},
			{Instance: "s2-m3", Role: faultcalc.RoleStandby, State: up},
			{Instance: "s2-m4", Role: faultcalc.RoleAsync, State: down},
			{Instance: "s2-m5", Role: faultcalc.RoleAsync, State: up},
			{Instance: "s2-m6", Role: faultcalc.RoleAsync, State: up},
		}},
		{"without it any replica is promoted, unless it is tagged", false, []faultcalc.Replica{
			{Instance: "s2-m2", Role: faultcalc.RolePrimary, State: up},
			{Instance: "s2-m3", Role: faultcalc.RoleStandby, State: up},
			{Instance: "s2-m4", Role: faultcalc.RoleStandby, State: down},
			{Instance: "s2-m5", Role: faultcalc.RoleAsync, State: up},
			{Instance: "s2-m6", Role: faultcalc.RoleStandby, State: up},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []faultcalc.Replica
			for _, m := range view.Members {
				got = append(got, describe(m, c.synchronous))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What GET /patroni of Patroni 3.0.2 and 4.0.7 answered, shortened.
const (
	primary302 = `{"state": "running", "role": "master", "server_version": 150018, "xlog": {"location": 11559736}, "timeline": 2}`
	primary407 = `{"state": "running", "role": "primary", "server_version": 150018, "xlog": {"location": 18939528}, "timeline": 4}`
	standby    = `{"state": "running", "role": "replica", "xlog": {"received_location": 11812864, "paused": false}, "sync_standby": true, "timeline": 3}`
	thawed     = `{"state": "running", "role": "master", "xlog": {"location": 11559736}, "timeline": 2, "cluster_unlocked": true}`
	left       = `{"state": "starting", "role": "replica", "timeline": 1, "cluster_unlocked": true}`
)

func TestAgreed(t *testing.T) {
	copies := []copyOf{{Shard: 7, Instance: "s7-m1"}, {Shard: 7, Instance: "s7-m2"}}
	for _, c := range []struct {
		name    string
		answers [2]string
		want    string // the primary, or the error
	}{
		{"Patroni 3", [2]string{primary302, standby}, "s7-m1"},
		{"Patroni 4", [2]string{standby, primary407}, "s7-m2"},
		{"a primary that thawed, and its successor", [2]string{primary407, primary407}, "shard 7 has 2 primaries"},
		{"a primary that thawed, and thinks that its lock is gone", [2]string{thawed, standby}, "shard 7: s7-m1 knows of no leader"},
		{"a standby that lost its primary", [2]string{primary407, left}, "shard 7: s7-m2 knows of no leader"},
		{"standbys alone", [2]string{standby, standby}, "shard 7 has 0 primaries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			states := make([]state, len(copies))
			for i, text := range c.answers {
				if err := json.Unmarshal([]byte(text), &states[i]); err != nil {
					t.Fatal(err)
				}
			}
			primary, err := agreed(copies, states)
			got := primary.Instance
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
