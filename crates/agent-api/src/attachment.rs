//! Network interfaces and volumes that arrive at an instance before the task that uses them.

use serde::{Deserialize, Serialize};

use crate::serde_rules::null_is_default;

/// The four names, a positive wait and at least one interface are required.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachTaskNetworkInterfaces {
    pub message_id: String,
    pub cluster_arn: String,
    pub container_instance_arn: String,
    pub task_arn: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub task_cluster_arn: String,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "null_is_default")]
    pub generated_at: i64,
    pub wait_timeout_ms: i64,
    pub elastic_network_interfaces: Vec<ElasticNetworkInterface>,
}

/// The trunk's variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachInstanceNetworkInterfaces {
    pub message_id: String,
    pub cluster_arn: String,
    pub container_instance_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub generated_at: i64,
    pub wait_timeout_ms: i64,
    pub elastic_network_interfaces: Vec<ElasticNetworkInterface>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElasticNetworkInterface {
    #[serde(default, deserialize_with = "null_is_default")]
    pub attachment_arn: String,
    pub ec2_id: String,
    pub mac_address: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub ipv4_addresses: Vec<Ipv4Address>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub ipv6_addresses: Vec<Ipv6Address>,
    /// With its prefix length: `10.0.0.1/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_gateway_ipv4_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_gateway_ipv6_address: Option<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub domain_name: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub domain_name_servers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_dns_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<i64>,
    /// `default` or `vlan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_association_protocol: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_vlan_properties: Option<InterfaceVlanProperties>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ipv4Address {
    pub private_address: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub primary: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipv6Address {
    pub address: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceVlanProperties {
    pub vlan_id: String,
    pub trunk_interface_mac_address: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmAttachment {
    pub message_id: String,
    pub cluster_arn: String,
    pub container_instance_arn: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub task_arn: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub task_cluster_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub generated_at: i64,
    #[serde(default, deserialize_with = "null_is_default")]
    pub wait_timeout_ms: i64,
    pub attachment: Attachment,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    pub attachment_arn: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub attachment_type: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub attachment_properties: Vec<AttachmentProperty>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentProperty {
    pub name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub value: String,
}
