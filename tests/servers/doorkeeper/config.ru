# frozen_string_literal: true

# An authorization server and two APIs behind it: Doorkeeper on Rails, with a database in memory.
#
#   /oauth/token, /oauth/revoke, /oauth/introspect    with the paths of Commerce Layer
#   /oauth2-token                                     with the path of OroCommerce
#   /api/markets                                      401 in the words of Commerce Layer
#   /admin/api/products                               401 with an empty body, as OroCommerce
#
# Environment: CLIENT_ID and CLIENT_SECRET of the confidential client, PUBLIC_CLIENT_ID of the one
# without a secret; REUSE_ACCESS_TOKEN=1 returns the same token as long as it is valid.

# A second connection, or a new one after an idle time, would open another, empty database.
ENV["DATABASE_URL"] = "sqlite3::memory:?pool=1&idle_timeout=0&reaping_frequency=0"

require "securerandom"
require "action_controller/railtie"
require "active_record/railtie"
require "doorkeeper"

# A request is logged before its response is sent, so that the tests can count.
$stdout.sync = true

class AuthorizationServer < Rails::Application
  config.root = __dir__
  config.eager_load = false
  config.secret_key_base = SecureRandom.hex(32)
  config.logger = Logger.new($stdout)
  config.log_level = :info
end

Doorkeeper.configure do
  orm :active_record
  api_only
  grant_flows %w[client_credentials]
  optional_scopes "market:code:europe", "market:id:yzkWXfgHQS", "stock_location:code:eu_warehouse"
  reuse_access_token if ENV["REUSE_ACCESS_TOKEN"] == "1"
  # Commerce Layer's defaults: two hours for an integration, four for a sales channel.
  custom_access_token_expires_in do |context|
    context.client.confidential? ? 2.hours : 4.hours
  end
end

class ApiController < ActionController::API
  before_action :doorkeeper_authorize!

  def markets
    render json: { data: [{ type: "markets", id: "yzkWXfgHQS" }] }
  end

  def products
    render json: { data: [{ type: "products", id: "1" }] }
  end

  private

  def doorkeeper_unauthorized_render_options(**)
    return if action_name == "products"

    { json: { errors: [{ title: "Unauthorized", code: "INVALID_TOKEN", status: "401" }] } }
  end
end

AuthorizationServer.initialize!

AuthorizationServer.routes.draw do
  use_doorkeeper { skip_controllers :applications, :authorized_applications, :authorizations }
  post "/oauth2-token", to: "doorkeeper/tokens#create"
  get "/api/markets", to: "api#markets"
  get "/admin/api/products", to: "api#products"
end

ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define do
  create_table :oauth_applications do |t|
    t.string :name, null: false
    t.string :uid, null: false, index: { unique: true }
    t.string :secret, null: false
    t.text :redirect_uri
    t.string :scopes, null: false, default: ""
    t.boolean :confidential, null: false, default: true
    t.timestamps null: false
  end

  create_table :oauth_access_tokens do |t|
    t.references :resource_owner
    t.references :application, null: false
    t.string :token, null: false, index: { unique: true }
    t.string :refresh_token
    t.integer :expires_in
    t.datetime :revoked_at
    t.datetime :created_at, null: false
    t.string :scopes
  end
end

Doorkeeper::Application.create!(
  name: "integration", uid: ENV.fetch("CLIENT_ID"), secret: ENV.fetch("CLIENT_SECRET")
)
Doorkeeper::Application.create!(
  name: "sales channel", uid: ENV.fetch("PUBLIC_CLIENT_ID"), confidential: false
)
# Return the only connection to the pool, for the thread of the requests.
ActiveRecord::Base.clear_active_connections!

run AuthorizationServer
