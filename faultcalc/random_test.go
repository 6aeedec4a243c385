package faultcalc_test

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/cutset-dev/cutset/faultcalc"
)

var levels = []faultcalc.Level{faultcalc.LevelMachine, faultcalc.LevelInstance, "zone"}

// randomTopology draws topologies of every rule, role and state, with machines
// that hold nothing, several replicas of a shard on one machine, shards that
// repeat or contain each other, and shards without any replica.
func randomTopology(t *rapid.T) faultcalc.Topology {
	var topo faultcalc.Topology
	for i := range rapid.IntRange(1, 7).Draw(t, "machines") {
		m := faultcalc.Machine{Name: fmt.Sprintf("m%d", i+1)}
		m.Labels = map[string]string{"zone": rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "zone")}
		m.FailureProbability = rapid.SampledFrom([]float64{0, 0.01, 0.2, 0.5, 1}).Draw(t, "p")
		topo.Machines = append(topo.Machines, m)
	}
	instances := rapid.IntRange(1, 8).Draw(t, "instances")
	for i := range instances {
		m := rapid.IntRange(0, len(topo.Machines)-1).Draw(t, "on")
		topo.Instances = append(topo.Instances, faultcalc.Instance{Name: fmt.Sprintf("i%d", i+1), Machine: topo.Machines[m].Name})
	}
	rules := []faultcalc.Rule{"", faultcalc.RuleAny, faultcalc.RuleMajority, faultcalc.RuleAtLeast, faultcalc.RulePrimary, faultcalc.RuleData}
	table := faultcalc.Table{Name: "t", Rule: rapid.SampledFrom(rules).Draw(t, "rule"), K: rapid.IntRange(1, 3).Draw(t, "k")}
	onlyAny := rapid.Bool().Draw(t, "only any")
	if onlyAny {
		table.Rule = ""
	}
	for s := range rapid.IntRange(0, 6).Draw(t, "shards") {
		sh := faultcalc.Shard{Number: (s*5 + 2) % 7}
		if !onlyAny && rapid.IntRange(0, 2).Draw(t, "override") == 0 {
			sh.Rule = rapid.SampledFrom(rules).Draw(t, "shard rule")
			if sh.Rule == faultcalc.RuleAtLeast {
				sh.K = rapid.IntRange(0, 3).Draw(t, "shard k")
			}
		}
		start := rapid.IntRange(0, instances-1).Draw(t, "start")
		for r := range min(instances, rapid.SampledFrom([]int{0, 1, 2, 2, 3, 3, 4, 5}).Draw(t, "replicas")) {
			sh.Replicas = append(sh.Replicas, faultcalc.Replica{
				Instance: topo.Instances[(start+r)%instances].Name,
				Role:     rapid.SampledFrom([]faultcalc.Role{"primary", "standby", "standby", "", "async", "witness"}).Draw(t, "role"),
				State:    rapid.SampledFrom([]faultcalc.State{"available", "", "available", "available", "unavailable"}).Draw(t, "state"),
			})
		}
		table.Shards = append(table.Shards, sh)
	}
	topo.Tables = []faultcalc.Table{table}
	return topo
}
