package native

import (
	"slices"
	"strings"
)

// textFields are the fields that CloudTrail always writes as a JSON string (or
// null, or not at all), so that a number or a boolean in a rule never equals them.
//
// Semantics: AWS CloudTrail record contents, userIdentity element, console
// sign-in events, Insights events.
var textFields = []string{
	"additionalEventData.LoginTo",
	"additionalEventData.MFAIdentifier",
	"additionalEventData.MFAUsed",
	"additionalEventData.MobileVersion",
	"addendum.originalEventID",
	"addendum.originalRequestID",
	"addendum.reason",
	"addendum.updatedFields",
	"apiVersion",
	"awsRegion",
	"errorCode",
	"errorMessage",
	"eventCategory",
	"eventID",
	"eventName",
	"eventSource",
	"eventTime",
	"eventType",
	"eventVersion",
	"insightDetails.eventName",
	"insightDetails.eventSource",
	"insightDetails.insightType",
	"insightDetails.state",
	"recipientAccountId",
	"requestID",
	"resources.ARN",
	"resources.accountId",
	"resources.type",
	"responseElements.ConsoleLogin",
	"responseElements.SwitchRole",
	"sessionCredentialFromConsole",
	"sharedEventID",
	"sourceIPAddress",
	"tlsDetails.cipherSuite",
	"tlsDetails.clientProvidedHostHeader",
	"tlsDetails.tlsVersion",
	"userAgent",
	"userIdentity.accessKeyId",
	"userIdentity.accountId",
	"userIdentity.arn",
	"userIdentity.credentialId",
	"userIdentity.identityProvider",
	"userIdentity.inScopeOf.credentialsIssuedTo",
	"userIdentity.inScopeOf.issuerType",
	"userIdentity.inScopeOf.sourceAccount",
	"userIdentity.inScopeOf.sourceArn",
	"userIdentity.invokedBy",
	"userIdentity.onBehalfOf.identityStoreArn",
	"userIdentity.onBehalfOf.userId",
	"userIdentity.principalId",
	"userIdentity.sessionContext.attributes.creationDate",
	"userIdentity.sessionContext.attributes.mfaAuthenticated",
	"userIdentity.sessionContext.ec2RoleDelivery",
	"userIdentity.sessionContext.sessionIssuer.accountId",
	"userIdentity.sessionContext.sessionIssuer.arn",
	"userIdentity.sessionContext.sessionIssuer.principalId",
	"userIdentity.sessionContext.sessionIssuer.type",
	"userIdentity.sessionContext.sessionIssuer.userName",
	"userIdentity.sessionContext.sourceIdentity",
	"userIdentity.sessionContext.webIdFederationData.federatedProvider",
	"userIdentity.type",
	"userIdentity.userName",
	"vpcEndpointAccountId",
	"vpcEndpointId",
}

// topFields are the fields that a CloudTrail record may have at its top.
var topFields = []string{
	"addendum", "additionalEventData", "apiVersion", "awsRegion", "edgeDeviceDetails", "errorCode", "errorMessage",
	"eventCategory", "eventContext", "eventID", "eventName", "eventSource", "eventTime", "eventType", "eventVersion",
	"insightDetails", "managementEvent", "readOnly", "recipientAccountId", "requestID", "requestParameters", "resources",
	"responseElements", "serviceEventDetails", "sessionCredentialFromConsole", "sharedEventID", "sourceIPAddress",
	"tlsDetails", "userAgent", "userIdentity", "vpcEndpointAccountId", "vpcEndpointId",
}

// absentWhenUnset are fields that CloudTrail leaves out and never writes as null.
var absentWhenUnset = []string{"errorCode", "errorMessage", "eventName", "eventSource", "userIdentity.type"}

func isTextField(path []string) bool {
	_, found := slices.BinarySearch(sortedTextFields, strings.Join(path, "."))
	return found
}

// sortedTextFields is textFields in the order that a binary search needs.
var sortedTextFields = slices.Sorted(slices.Values(textFields))
