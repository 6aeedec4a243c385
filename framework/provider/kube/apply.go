package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/decoder"
	"sigs.k8s.io/e2e-framework/klient/k8s"
)

// Apply applies manifests on the server's side, in their order, as field manager "cutset".
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
	client, err := klient.New(c.options.REST)
	if err != nil {
		return err
	}
	return decoder.DecodeEach(ctx, bytes.NewReader(manifests), func(ctx context.Context, object k8s.Object) error {
		text, err := json.Marshal(object)
		if err != nil {
			return err
		}
		err = client.Resources().Patch(ctx, object, k8s.Patch{PatchType: types.ApplyPatchType, Data: text}, func(o *metav1.PatchOptions) {
			force := true
			o.FieldManager, o.Force = "cutset", &force
		})
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetObjectKind().GroupVersionKind().Kind, object.GetName(), err)
		}
		return nil
	})
}

// NodeOf returns the name of the node that a machine is.
func (c *Cluster) NodeOf(machine string) (string, error) {
	node, err := c.Node(machine)
	if err != nil {
		return "", err
	}
	return node.NodeName(), nil
}
