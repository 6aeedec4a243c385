package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/podexec"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/processes"
)

// instance is a pod: the processes of its server and of the server's supervisor.
type instance struct {
	*processes.Node
	cluster *Cluster
	server  *processes.Node
}

var _ provider.Replaceable = (*instance)(nil)

func newInstance(c *Cluster, name string) *instance {
	table := inPod{c, name}
	return &instance{
		cluster: c,
		Node:    &processes.Node{Label: name, Table: processes.Named(table, c.options.Supervisor, c.options.Server), Supervised: true},
		server:  &processes.Node{Label: name + " server", Table: processes.Named(table, c.options.Server), Supervised: true},
	}
}

// Server implements [provider.Instance].
func (i *instance) Server() provider.Node { return i.server }

// Supervisor implements [provider.Instance].
func (i *instance) Supervisor() provider.Node {
	return &processes.Node{Label: i.Label + " supervisor", Table: processes.Named(inPod{i.cluster, i.Label}, i.cluster.options.Supervisor), Supervised: true}
}

// Delete implements [provider.Replaceable]: without a grace period.
func (i *instance) Delete(ctx context.Context) error {
	now := int64(0)
	err := i.cluster.client.CoreV1().Pods(i.cluster.options.Namespace).Delete(ctx, i.Label, metav1.DeleteOptions{GracePeriodSeconds: &now})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Incarnation implements [provider.Replaceable] with the pod's UID.
func (i *instance) Incarnation(ctx context.Context) (string, error) {
	pod, err := i.cluster.client.CoreV1().Pods(i.cluster.options.Namespace).Get(ctx, i.Label, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", err
	}
	return string(pod.UID), nil
}

// inPod is the process table that the pod's container sees.
type inPod struct {
	cluster *Cluster
	pod     string
}

// List implements [processes.Table].
func (p inPod) List(ctx context.Context) ([]processes.Process, error) {
	out, err := p.run(ctx, "cat /proc/[0-9]*/stat 2>/dev/null; true")
	if err != nil {
		return nil, fmt.Errorf("list the processes of %s: %w", p.pod, err)
	}
	var found []processes.Process
	for line := range strings.Lines(out) {
		if process, alive := parse(line); alive {
			found = append(found, process)
		}
	}
	slices.SortFunc(found, func(a, b processes.Process) int {
		return slices.Compare([]int64{a.Born, int64(a.PID)}, []int64{b.Born, int64(b.PID)})
	})
	return found, nil
}

// parse reads a line of /proc/PID/stat, see proc_pid_stat(5); alive is false for what is none, and for a dead process.
func parse(line string) (p processes.Process, alive bool) {
	const state, born = 0, 19 // fields, counted from the one after the name
	open, end := strings.Index(line, "("), strings.LastIndex(line, ")")
	if open < 0 || end < open {
		return p, false
	}
	fields := strings.Fields(line[end+1:])
	pid, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	if err != nil || len(fields) <= born {
		return p, false
	}
	p = processes.Process{PID: pid, Name: line[open+1 : end], Stopped: fields[state] == "T", Waiting: fields[state] == "D"}
	p.Born, err = strconv.ParseInt(fields[born], 10, 64)
	return p, err == nil && fields[state] != "Z" && fields[state] != "X"
}

// Signal implements [processes.Table].
func (p inPod) Signal(ctx context.Context, signal unix.Signal, to []processes.Process) error {
	if slices.ContainsFunc(to, func(p processes.Process) bool { return p.PID == 1 }) {
		return errors.New("it is the first process of its container, which can't be signalled from within; " +
			"set shareProcessNamespace in the pod's spec, or fail it otherwise")
	}
	script := "kill -s " + strings.TrimPrefix(unix.SignalName(signal), "SIG")
	for _, process := range to {
		script += fmt.Sprintf(" %d", process.PID)
	}
	_, err := p.run(ctx, script+" 2>/dev/null; true")
	return err
}

// run runs a script in the pod, within the slot of the executor that the caller has.
func (p inPod) run(ctx context.Context, script string) (string, error) {
	command := p.cluster.exec.Wrap(podexec.Command{
		Name: "in pod", Class: "pod", Args: []string{"sh", "-c", script},
		Target: podexec.Target{Namespace: p.cluster.options.Namespace, Pod: p.pod, Container: p.cluster.options.Container},
	})
	limit := within(ctx)
	result, err := command.Run(ctx, executor.Attempt{Class: "pod", Target: p.pod, Timeout: limit, Connect: min(limit, 5*time.Second)})
	return string(result.Stdout), err
}
