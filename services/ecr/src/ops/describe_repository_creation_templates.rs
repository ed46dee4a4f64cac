//! DescribeRepositoryCreationTemplates: some by their prefixes, or all in the order of them.

use api_ecr::{DescribeRepositoryCreationTemplatesRequest, DescribeRepositoryCreationTemplatesResponse, Error};
use registry::CreationTemplate;
use shape::Caller;

use crate::cache_rules::normal;
use crate::pages::{Wanted, refuse_with};
use crate::service::EcrService;
use crate::{names, templates};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DescribeRepositoryCreationTemplatesRequest,
) -> Result<DescribeRepositoryCreationTemplatesResponse, Error> {
    let scope = names::scope(caller)?;
    let (token, size) = (input.next_token.as_deref(), input.max_results);
    // The aws CLI sends an empty list for none.
    let prefixes = input.prefixes.filter(|prefixes| !prefixes.is_empty());
    if prefixes.is_some() {
        refuse_with("prefixes", token, size)?;
    }
    let wanted = Wanted::parse(token, size)?;
    let mut all = service.on_disk(move |registry| registry.creation_templates(&scope)).await?.templates;
    // Unlike repositories, templates that are not there are no error: the operation has none for that.
    let (found, next_token) = match prefixes {
        Some(prefixes) => (prefixes.iter().filter_map(|prefix| all.remove(&normal(prefix))).collect(), None),
        None => wanted.page(all.into_values().collect(), |template: &CreationTemplate| template.prefix.clone()),
    };
    Ok(DescribeRepositoryCreationTemplatesResponse {
        registry_id: Some(caller.account.clone()),
        repository_creation_templates: Some(found.into_iter().map(templates::view).collect()),
        next_token,
    })
}
