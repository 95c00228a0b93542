package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sluice/proto/gen/control"
)

func newKeyCommand(g *globals) *cobra.Command {
	var label string
	command := &cobra.Command{
		Use:   "key TENANT",
		Short: "Make one more API key for a tenant; the key is shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.CreateKey(ctx, &control.CreateKeyRequest{Tenant: args[0], Label: label})
				if err != nil {
					return callError{"making a key for " + args[0], err}
				}
				fmt.Fprintln(cmd.OutOrStdout(), response.GetKey())
				return nil
			})
		},
	}
	command.Flags().StringVar(&label, "label", "", "what to call the key in listings")
	return command
}

func newKeysCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:   "keys TENANT",
		Short: "List a tenant's API keys: not the keys themselves, which nobody knows but their holders",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.ListKeys(ctx, &control.ListKeysRequest{Tenant: args[0]})
				if err != nil {
					return callError{"listing the keys of " + args[0], err}
				}
				var rows [][]string
				for _, key := range response.GetKeys() {
					ends := "-"
					if key.GetExpiresAt() != nil {
						ends = time.Until(key.GetExpiresAt().AsTime()).Truncate(time.Second).String()
					}
					rows = append(rows, []string{key.GetId(), orDash(key.GetLabel()), formatSince(key.GetCreatedAt().AsTime(), time.Now()), ends})
				}
				return printMessages(cmd.OutOrStdout(), *output, response.GetKeys(), "ID LABEL AGE ENDS-IN", rows)
			})
		},
	}
	output = addOutputFlag(command)
	return command
}

func newRevokeCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke TENANT KEY-ID",
		Short: "End one API key of a tenant at once; `sluice tenants keys TENANT` lists their ids",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				if _, err := client.RevokeKey(ctx, &control.RevokeKeyRequest{Tenant: args[0], KeyId: args[1]}); err != nil {
					return callError{"revoking key " + args[1], err}
				}
				return nil
			})
		},
	}
}
