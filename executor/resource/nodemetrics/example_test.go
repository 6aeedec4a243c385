package nodemetrics_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/resource"
	"github.com/cutset-dev/cutset/executor/resource/nodemetrics"
)

// Timeouts of commands follow the load of the node that they run on. A command's target is the name of a node, or a pod
// in one of the namespaces; where machines have other names, Options.NodeOf translates them.
func Example() {
	cluster := startCluster() // stands for a real one
	defer cluster.Close()
	cluster.usage["node-a"] = [2]string{"1600m", "1Gi"} // of 2 CPUs

	here := resource.Start(resource.Options{})
	defer here.Stop()
	nodes, err := nodemetrics.Start(nodemetrics.Options{REST: cluster.config(), Local: here, Namespaces: []string{"db"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nodes.Stop()
	ex, err := executor.New(executor.DefaultClasses(), executor.WithMonitor(nodes))
	if err != nil {
		fmt.Println(err)
		return
	}
	// A command need not wait for this: until the first metrics come, nodes are taken to be idle.
	for len(nodes.Snapshot().Nodes) == 0 {
		<-time.After(time.Millisecond)
	}
	for _, target := range []string{"node-a", "db/pg-0"} {
		load, err := executor.Do(context.Background(), ex, executor.Command[executor.Load]{
			Class: "heal", Target: target,
			Run: func(context.Context, executor.Attempt) (executor.Load, error) { return nodes.TargetLoad(target), nil },
		})
		fmt.Printf("%s: %s scarcity %.1f %v\n", target, load.Resource, load.Scarcity, err)
	}
	// Output:
	// node-a: cpu scarcity 0.6 <nil>
	// db/pg-0: cpu scarcity 0.6 <nil>
}
