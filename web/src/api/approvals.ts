// What waits for the yes of others, and whose yes.
import { queryOptions } from '@tanstack/react-query'
import { api, data, under } from './client'
import type { ApprovalPoliciesSetRequest, ApprovalsVoteRequest, operations } from './schema'

type Listed = NonNullable<operations['approvals.list']['parameters']['query']>

export const approvals = (query: Listed = {}) =>
  queryOptions({
    queryKey: ['approvals', 'list', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/approvals', { params: { query }, signal })),
  })

export const approval = (approval: string) =>
  queryOptions({
    queryKey: ['approvals', 'one', approval],
    queryFn: ({ signal }) => data(api.GET('/api/v1/approvals/{approval}', { params: { path: { approval } }, signal })),
  })

export const vote = (approval: string, body: ApprovalsVoteRequest, key: string) =>
  data(api.POST('/api/v1/approvals/{approval}/votes', { params: { path: { approval }, header: under(key) }, body }))

export const approvalPolicies = (app: string) =>
  queryOptions({
    queryKey: ['approval-policies', app],
    queryFn: ({ signal }) => data(api.GET('/api/v1/apps/{app}/approval-policies', { params: { path: { app } }, signal })),
  })

export const setApprovalPolicy = (app: string, environment: string, body: ApprovalPoliciesSetRequest, key: string) =>
  data(
    api.PUT('/api/v1/apps/{app}/environments/{environment}/approval-policy', {
      params: { path: { app, environment }, header: under(key) },
      body,
    }),
  )

export const removeApprovalPolicy = (app: string, environment: string, key: string) =>
  data(api.DELETE('/api/v1/apps/{app}/environments/{environment}/approval-policy', { params: { path: { app, environment }, header: under(key) } }))
