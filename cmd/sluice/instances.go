package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/proto/gen/control"
)

func newInstancesCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:   "instances [FUNCTION]",
		Short: "List the instances that run or start, with what their start took",
		Args:  cobra.MaximumNArgs(1),

		ValidArgsFunction: completeFunctions(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &control.ListInstancesRequest{Tenant: g.tenant}
			if len(args) == 1 {
				request.Function = args[0]
			}
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.ListInstances(ctx, request)
				if err != nil {
					return err
				}
				rows := instanceRows(response.GetInstances(), time.Now())
				return printMessages(cmd.OutOrStdout(), *output, response.GetInstances(), instanceHeader, rows)
			})
		},
	}
	output = addOutputFlag(command)
	return command
}

const instanceHeader = "ID FUNCTION VERSION STATE PID LEASE AGE START"

func instanceRows(instances []*control.Instance, now time.Time) (rows [][]string) {
	for _, i := range instances {
		rows = append(rows, []string{
			i.GetId(), i.GetFunction(), i.GetVersion(), i.GetState(), strconv.Itoa(int(i.GetPid())), orDash(i.GetLease()),
			formatSince(i.GetStartedAt().AsTime(), now), orDash(formatPhases(i.GetPhases())),
		})
	}
	return rows
}

// formatPhases writes a start's phases in order: "lease=3ms create=120ms".
func formatPhases(phases []*control.Phase) string {
	var text []string
	for _, p := range phases {
		text = append(text, p.GetName()+"="+p.GetTook().AsDuration().Round(time.Millisecond).String())
	}
	return strings.Join(text, " ")
}
