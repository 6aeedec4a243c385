package patroni

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/e2e-framework/klient/decoder"
	"sigs.k8s.io/e2e-framework/klient/k8s"

	"github.com/cutset-dev/cutset/framework/placement"
	"github.com/cutset-dev/cutset/framework/provider"
)

// applied takes manifests for a cluster that would apply them.
type applied struct {
	provider.Cluster
	text bytes.Buffer
}

func (*applied) Dial(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
func (*applied) Namespace() string                                      { return "ns" }
func (*applied) NodeOf(machine string) (string, error)                  { return "node-" + machine, nil }

func (a *applied) Apply(_ context.Context, manifests []byte) error {
	_, err := fmt.Fprintf(&a.text, "---\n%s\n", manifests)
	return err
}

// Every manifest is an object of the API, and each shard's set has its members, one on each of its machines.
func TestManifests(t *testing.T) {
	where, err := placement.Default()
	if err != nil {
		t.Fatal(err)
	}
	cluster := &applied{}
	target := NewOnKubernetes(where, cluster, "image:tag", nil)
	if err := target.runs.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	err = decoder.DecodeEach(t.Context(), &cluster.text, func(_ context.Context, object k8s.Object) error {
		kinds[object.GetObjectKind().GroupVersionKind().Kind]++
		if set, ok := object.(*appsv1.StatefulSet); ok && set.Name == "s2" {
			term := set.Spec.Template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0]
			if nodes := strings.Join(term.MatchExpressions[0].Values, " "); *set.Spec.Replicas != 3 || nodes != "node-m2 node-m3 node-m4" {
				t.Errorf("shard 2 has %d replicas on %s", *set.Spec.Replicas, nodes)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if kinds["StatefulSet"] != 3 || kinds["PersistentVolumeClaim"] != 7 || kinds["Secret"] != 6 || kinds["Role"] != 1 {
		t.Errorf("got %v", kinds)
	}
	if got := target.Entry(); got != "s1-0.s1.ns:5433" {
		t.Errorf("the entry is %s", got)
	}
}
