package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"sluice/proto/gen/control"
)

func newTenantsCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:   "tenants",
		Short: "List the tenants; `tenants key NAME` makes an API key",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.ListTenants(ctx, &control.ListTenantsRequest{})
				if err != nil {
					return err
				}
				var rows [][]string
				for _, tenant := range response.GetTenants() {
					rows = append(rows, []string{tenant.GetName(), strconv.Itoa(int(tenant.GetKeys()))})
				}
				return printMessages(cmd.OutOrStdout(), *output, response.GetTenants(), "NAME KEYS", rows)
			})
		},
	}
	output = addOutputFlag(command)
	command.AddCommand(&cobra.Command{
		Use:   "key TENANT",
		Short: "Make an API key for a tenant, and the tenant if it is new; the key is shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.CreateKey(ctx, &control.CreateKeyRequest{Tenant: args[0]})
				if err != nil {
					return fmt.Errorf("making a key for %s: %s", args[0], explain(err))
				}
				fmt.Fprintln(cmd.OutOrStdout(), response.GetKey())
				return nil
			})
		},
	})
	return command
}
