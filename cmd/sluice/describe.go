package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"sluice/broker/client"
	"sluice/broker/lease"
	"sluice/proto/gen/control"
)

// description is everything about one function that the daemon knows.
type description struct {
	Function  json.RawMessage   `json:"function"`
	Spec      map[string]any    `json:"spec"`
	Instances []json.RawMessage `json:"instances"`
	Leases    []lease.Lease     `json:"leases"`

	function  *control.Function
	specYAML  []byte
	instances []*control.Instance
}

func newDescribeCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:               "describe FUNCTION",
		Short:             "Show a function: what it was deployed with, its instances and the slices that they hold",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFunctions(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := describe(cmd.Context(), g, args[0])
			if err != nil {
				return err
			}
			if *output != formatTable {
				return printValue(cmd.OutOrStdout(), *output, d)
			}
			return d.print(cmd.OutOrStdout(), time.Now())
		},
	}
	output = addOutputFlag(command)
	return command
}

func describe(ctx context.Context, g *globals, name string) (description, error) {
	var d description
	err := withControl(ctx, g, func(ctx context.Context, client control.ControlClient) error {
		function, err := client.GetFunction(ctx, &control.GetFunctionRequest{Tenant: g.tenant, Name: name})
		if err != nil {
			return callError{"describing " + name, err}
		}
		instances, err := client.ListInstances(ctx, &control.ListInstancesRequest{Tenant: g.tenant, Function: name})
		if err != nil {
			return callError{"describing " + name, err}
		}
		d.function, d.specYAML, d.instances = function.GetFunction(), function.GetSpecYaml(), instances.GetInstances()
		return nil
	})
	if err != nil {
		return d, err
	}
	err = withBroker(ctx, g, func(ctx context.Context, broker *client.Client) error {
		leases, err := broker.Leases(ctx)
		d.Leases = slices.DeleteFunc(leases, func(l lease.Lease) bool {
			return !slices.ContainsFunc(d.instances, func(i *control.Instance) bool { return i.GetLease() == l.ID })
		})
		return err
	})
	if err != nil {
		return d, err
	}
	if d.Function, err = protoJSON(d.function); err != nil {
		return d, err
	}
	if d.Instances, err = protoList(d.instances); err != nil {
		return d, err
	}
	return d, yaml.Unmarshal(d.specYAML, &d.Spec)
}

func (d description) print(w io.Writer, now time.Time) error {
	f := d.function
	fmt.Fprintf(w, "%s version %s of tenant %s, deployed %s ago\n\n", f.GetName(), f.GetVersion(), f.GetTenant(), formatSince(f.GetDeployedAt().AsTime(), now))
	for line := range strings.Lines(string(d.specYAML)) {
		fmt.Fprint(w, "  ", line)
	}
	if len(d.instances) == 0 {
		fmt.Fprintln(w, "\nno instances: the next request starts one")
		return nil
	}
	fmt.Fprintln(w)
	if err := printTable(w, instanceHeader, instanceRows(d.instances, now)); err != nil {
		return err
	}
	if len(d.Leases) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return printTable(w, leaseHeader, leaseRows(d.Leases, now))
}

// completeFunctions completes the name of a deployed function, where the daemon answers.
func completeFunctions(g *globals) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var names []cobra.Completion
		if len(args) > 0 || loadState(g, cmd.Flags()) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), probeTimeout)
		defer cancel()
		err := withControl(ctx, g, func(ctx context.Context, client control.ControlClient) error {
			response, err := client.ListFunctions(ctx, &control.ListFunctionsRequest{Tenant: g.tenant})
			for _, f := range response.GetFunctions() {
				names = append(names, f.GetName())
			}
			return err
		})
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
