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
